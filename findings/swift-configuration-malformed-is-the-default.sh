#!/bin/sh
# swift-configuration 1.4.0 (the package apple/swift-configuration, exact version), with Swift 6.3.1.
#
# A value that is there and cannot be read is the same as one that is not there: int(forKey:default:) of "500 ms" returns the
# default, and int(forKey:) nil, both without an error, as fetchInt(forKey:) alone does throw. So a typing error in a timeout
# is a server that runs with the default and says nothing. requiredInt(forKey:) throws, but for a missing value, too, and its
# error type cannot be told apart by a caller: it is not public.
#
# Seen on 2026-11-29:
#   malformed, with a default: 100
#   malformed, without one: nil
#   missing, without one: nil
#   malformed, required: Config value for key 'TIMEOUT' failed to convert to type int.
#   missing, required: Missing required config value for key: other.
#   malformed, fetched: Config value for key 'TIMEOUT' failed to convert to type int.
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT INT TERM
cd "$directory"

mkdir -p Sources/try
cat >Package.swift <<'SWIFT'
// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "try", platforms: [.macOS(.v15)],
    dependencies: [
        .package(url: "https://github.com/apple/swift-configuration.git", exact: "1.4.0", traits: [])
    ],
    targets: [
        .executableTarget(
            name: "try", dependencies: [.product(name: "Configuration", package: "swift-configuration")])
    ])
SWIFT
cat >Sources/try/main.swift <<'SWIFT'
import Configuration

let config = ConfigReader(provider: EnvironmentVariablesProvider(environmentVariables: ["TIMEOUT": "500 ms"]))
func words(_ body: () async throws -> Int?) async -> String {
    do { return try await body().map { "\($0)" } ?? "nil" } catch { return "\(error)" }
}
print("malformed, with a default: \(config.int(forKey: "timeout", default: 100))")
print("malformed, without one: \(await words { config.int(forKey: "timeout") })")
print("missing, without one: \(await words { config.int(forKey: "other") })")
print("malformed, required: \(await words { try config.requiredInt(forKey: "timeout") })")
print("missing, required: \(await words { try config.requiredInt(forKey: "other") })")
print("malformed, fetched: \(await words { try await config.fetchInt(forKey: "timeout") })")
SWIFT
swift build >log 2>&1 || { cat log; exit 1; }
.build/debug/try >seen
cat seen
cat >expected <<'TEXT'
malformed, with a default: 100
malformed, without one: nil
missing, without one: nil
malformed, required: Config value for key 'TIMEOUT' failed to convert to type int.
missing, required: Missing required config value for key: other.
malformed, fetched: Config value for key 'TIMEOUT' failed to convert to type int.
TEXT
diff expected seen
