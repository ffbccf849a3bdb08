import Foundation

/// What libFuzzer calls with each of its inputs: the property that `PROPERTY` names has to hold.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    if let flaw = fuzzed.flaw(Array(UnsafeBufferPointer(start: start, count: count))) { fatalError(flaw) }
    return 0
}

private let fuzzed: Property = {
    let name = ProcessInfo.processInfo.environment["PROPERTY"] ?? ""
    guard let property = Property.all.first(where: { $0.name == name }) else {
        fatalError("PROPERTY is one of \(Property.all.map(\.name).joined(separator: ", "))")
    }
    return property
}()
