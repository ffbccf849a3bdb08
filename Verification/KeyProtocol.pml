/*
 * The key protocol of swift-cache-utils, as DESIGN and the article "The key protocol" have it, for one value key in two
 * groups. `verify` checks it exhaustively within the bounds below, and checks that it notices each planted mistake.
 *
 * What is a step here is atomic there: one operation on one key of the store, or one section under a lock of a process.
 * A multi-get is two steps, the value key first or the groups. Numbers that are random there are new here: `fresh`, and a flight's
 * index for its token. Time is an event: a value goes stale, a lease ends, whenever it likes.
 *
 * The database is a counter, `db`. A load that begins reads it. An updater counts it up, invalidates, and when the
 * invalidation has returned sets `acked`. A call that begins then must not get less: that is I1 for an exact
 * invalidation and I2 for a group's, and with the evictions I5.
 *
 * With two versions there are two registers, each with a reader's process of its own, which an invalidation changes one
 * after the other. They are on one server, or on two: then each server has stamps of the groups, and one of its writes may
 * be lost. What the others have done holds all the same.
 */

#ifndef READERS
#define READERS 2
#endif
#ifndef CALLS
#define CALLS 2
#endif
#ifndef UPDATES
#define UPDATES 2   /* each invalidates the key or one of the groups */
#endif
#ifndef UPDATERS
#define UPDATERS 1
#endif
#ifndef EVICTIONS
#define EVICTIONS 1 /* of any key */
#endif
#ifndef STALES
#define STALES 1    /* how often a value goes stale */
#endif
#ifndef CRASHES
#define CRASHES 1   /* loaders that never return */
#endif
#ifndef TROUBLES
#define TROUBLES 0  /* lease writes that the store does not confirm, and that happen now, later or never */
#endif
#ifndef REFRESHES
#define REFRESHES 0 /* calls of `refresh` */
#endif
#ifndef PROLONGS
#define PROLONGS 0  /* leases that are prolonged, once each */
#endif
#ifndef FILL_TROUBLES
#define FILL_TROUBLES 0 /* fills that the store does not confirm, and that happen now, later or never */
#endif
#ifdef OWN_GROUP        /* the second group is told by each load, and listed by the value: it is read after that */
#define stampMissing (now1 == 0 || (kind == VALUE && now2 == 0))
#define isOfStamps (stamp1 == now1 && (kind != VALUE || stamp2 == now2))
#else
#define stampMissing (now1 == 0 || now2 == 0)
#define isOfStamps (stamp1 == now1 && stamp2 == now2)
#endif
#if defined(OWN_GROUP) && !defined(OWN_SHARED) /* planted: all who share a load get such a value */
#define isForAll false
#else
#define isForAll true
#endif
#ifdef IN_ERROR         /* a stale value is served in place of a load's error only, and in the pause after it */
#define hasFailed(f) f_failed[f]
#else
#define hasFailed(f) false
#endif
#ifndef RESTARTS
#define RESTARTS 0  /* of the value key's server, whose CAS ids then begin again; only with leases that are read back */
#endif
#ifndef SERVERS
#define SERVERS 1
#endif
#ifndef LOSSES
#define LOSSES 0    /* writes of an invalidation that a server does not get */
#endif
#ifdef VERSIONS         /* two, each read by a process of its own */
#define PROCESSES 2
#define REGISTERS 2
#define REGISTER byte reg
#define AND_REGISTER ; byte reg
#define SAME_REGISTER , reg
#define isOfRegister(f) (f_process[f] == reg)
#else
#define REGISTERS 1
#define REGISTER
#define AND_REGISTER
#define SAME_REGISTER
#define reg 0
#define isOfRegister(f) true
#endif
#if SERVERS == 2 || defined(STAMPS_OF_VERSION) /* planted: a version keeps stamps of its own */
#define STAMPS 2
#define stampsHere reg
#ifdef STAMPS_ELSEWHERE /* planted: they are read from the other server */
#define stampsRead (1 - reg)
#else
#define stampsRead reg
#endif
#else
#define STAMPS 1
#define stampsHere 0
#define stampsRead 0
#endif
#ifdef SETTLING         /* invalidations have a window, and loads read from a replica that lags */
#define LOADED rep
#else
#define LOADED db
#endif
#ifndef WAIT_LIMIT
#define WAIT_LIMIT 1 /* whether a caller may lose patience and load without a lease */
#endif
#ifndef FLIGHTS
#define FLIGHTS 3   /* attempts to take the lease, in all; whoever needs one more is not followed further */
#endif
/* Which reader is in which process: those of one share loads. */
#if PROCESSES == 2
#define PROCESS_OF(reader) (reader % 2)
#else
#define PROCESS_OF(reader) 0
#endif

#define ABSENT 0
#define PENDING 1
#define VALUE 2

/* The value key: a compare-and-swap register. */
typedef Register {
    byte kind, version, stamp1, stamp2;
    byte token;     /* of the pending item, or of the claim on the value; 0 for no claim */
    bool stale;
    byte cas;       /* Each state has one of its own: the token of a pending item; of a value, who filled it and who claims it. */
    byte done       /* the version whose invalidation has returned, for those who read here */
}
Register v[REGISTERS];
#define v_kind v[reg].kind
#define v_version v[reg].version
#define v_stamp1 v[reg].stamp1
#define v_stamp2 v[reg].stamp2
#define v_token v[reg].token
#define v_stale v[reg].stale
#define v_cas v[reg].cas
#define acked v[reg].done
#ifdef SOFT             /* an update may expire the key or the first group, in place of invalidating it */
byte s1 = 1, softFresh = 1; /* the soft half of the first group's stamp, beside the hard one */
byte v_soft;            /* of what stands under the value key */
bool v_expired;         /* the key was expired since the lease was taken */
byte softAcked;         /* the version that has to be served as fresh */
#endif
#ifdef IN_ERROR
byte fails = 1;         /* loaders that throw */
bool v_paused;          /* a load of the value has failed a moment ago */
#endif
#ifdef SETTLING
bool w_open;            /* the window of the update runs; the replica catches up before it ends */
byte rep, settledAcked; /* what the replica says; the version whose window is over */
bool v_window;          /* the mark or the lease carries the window */
bool v_settled;         /* the value is served in the window only */
bool g_window;          /* a group's stamp carries it */
#endif

/* The generation keys, of each server; 0 is absent, as after an eviction. */
byte group1[STAMPS] = 1, group2[STAMPS] = 2, fresh = 2;
#define g1 group1[stampsHere]
#define g2 group2[stampsHere]
#define read1 group1[stampsRead]
#define read2 group2[stampsRead]

byte db;
bool stored;    /* some load has filled the register */

/*
 * A flight takes the lease, loads, lands, fills, ends. Its token is its index + 1.
 *
 * It gives its value to all who wait when it has landed, before the fill. They stay vouched for: each read the token in
 * the store when its call had begun (or waited while it was written), so no invalidation that had returned by then came
 * after the lease, and the load began after the lease. Whether the fill lands matters to later calls only.
 */
mtype = { starting, lost, trouble, loading, landed, ended, stuck };
mtype f_state[FLIGHTS];
byte f_process[FLIGHTS], f_stamp1[FLIGHTS], f_stamp2[FLIGHTS], f_version[FLIGHTS];
byte f_over[FLIGHTS];       /* the CAS id of the item to swap; 0 to add */
bool f_claims[FLIGHTS];     /* it refreshes a value, which stays */
bool f_filled[FLIGHTS];     /* the store has confirmed its fill */
bool f_orphaned[FLIGHTS];   /* it has ended, and the register may carry its token still: its process takes that over */
bool f_leaseOver[FLIGHTS];
#ifdef SOFT
byte f_soft[FLIGHTS];       /* the half that a fill is to carry */
byte f_softRead[FLIGHTS];   /* the one that was read before the lease was taken */
#endif
#ifdef SETTLING
bool f_window[FLIGHTS], f_settling[FLIGHTS];
#endif
/* I3: its lease runs, its load has begun, and nothing has taken the register from it. */
bool f_holds[FLIGHTS];
#ifdef IN_ERROR
bool f_failed[FLIGHTS];
#endif
#ifdef READ_BACK
/* The CAS id that the store told of the lease when it was read back, and whether no restart came since. */
byte f_told[FLIGHTS];
bool f_isCurrent[FLIGHTS];
byte restarts = RESTARTS;
byte oldID;     /* one that was told before a restart */
#endif
byte flights;

/* Loads without a lease: 1 for a caller that waits for the next one to begin, 2 for one that has its version. */
byte u_state[READERS], u_version[READERS];

byte evictions = EVICTIONS, stales = STALES, crashes = CRASHES, troubles = TROUBLES, refreshes = REFRESHES;
byte prolongs = PROLONGS, fillTroubles = FILL_TROUBLES, losses = LOSSES;
byte k;

/*
 * CAS ids. Of a pending item: the token; of a value: 16 times the token of the load that filled it, its identity, and the
 * token of the claim. 64 is added where the key was expired, 8 to an item whose old value a refresh has removed, 128 where the lease was prolonged.
 */
#define identityOf(kind, cas) (kind == VALUE -> (cas % 64) / 16 : 0)

inline removeV() {
    v_kind = ABSENT; v_version = 0; v_token = 0; v_stamp1 = 0; v_stamp2 = 0; v_stale = 0; v_cas = 0;
#ifdef SOFT
    v_soft = 0; v_expired = 0;
#endif
#ifdef SETTLING
    v_window = 0; v_settled = 0;
#endif
#ifdef IN_ERROR
    v_paused = 0;
#endif
    skip
}

inline fillV(loaded, f, with1, with2) {
    v_kind = VALUE; v_version = loaded; v_token = 0; v_stamp1 = with1; v_stamp2 = with2; v_stale = 0;
#ifdef SOFT
    v_stale = v_expired; v_expired = 0; v_soft = f_soft[f];
    /* Or it would be refreshed again and again. */
    assert(f_softRead[f] != s1 || v_soft == s1 /* fresh when it is filled */);
#endif
#ifdef SETTLING
    v_settled = f_settling[f];
    if
    :: f_settling[f] && !w_open -> removeV() /* too late: it is not stored */
    :: else -> v_cas = 16 * (f + 1)
    fi;
#else
    v_cas = 16 * (f + 1);
#endif
    skip
}

/* What a flight writes when it takes the lease. */
inline occupyV(f) {
    if
    :: f_claims[f] -> v_cas = v_cas - v_token + f + 1
    :: else ->
#ifdef SOFT
        v_soft = f_soft[f];
#endif
#ifdef SETTLING
        v_window = f_window[f]; v_settled = 0;
#endif
        v_kind = PENDING; v_version = 0; v_stamp1 = f_stamp1[f]; v_stamp2 = f_stamp2[f]; v_stale = 0; v_cas = f + 1;
#if RESTARTS /* an id that was told before the restart comes again, once */
        if
        :: oldID != 0 -> v_cas = oldID; oldID = 0
        :: true
        fi
#endif
    fi;
#ifdef SOFT
    v_expired = 0;
#endif
#ifdef IN_ERROR
    v_paused = 0;
#endif
    v_token = f + 1
}


#ifdef COUNTED_STAMPS /* planted: a counter, which starts again where it was evicted */
inline newStamp(g) { g = 1 }
inline nextStamp(g) { g++ }
#else
inline newStamp(g) { fresh++; g = fresh }
inline nextStamp(g) { newStamp(g) }
#endif

inline readV() {
    atomic {
        kind = v_kind; version = v_version; token = v_token; stamp1 = v_stamp1; stamp2 = v_stamp2; stale = v_stale;
#ifdef SOFT
        soft = v_soft; expired = v_expired;
#endif
#ifdef SETTLING
        window = v_window && w_open; settled = v_settled;
#endif
#ifdef IN_ERROR
        paused = v_paused;
#endif
        cas = v_cas
    }
}

inline readGroups() {
    now1 = read1;
#ifndef OWN_GROUP
    now2 = read2;
#endif
#ifdef SOFT
    nowSoft = s1;
#endif
#ifdef SETTLING
    groupWindow = g_window && w_open;
#endif
    skip
}

/* Equal states are found to be equal. */
inline forget() {
    kind = 0; version = 0; token = 0; stamp1 = 0; stamp2 = 0; cas = 0; now1 = 0; now2 = 0; stale = 0;
#ifdef SOFT
    soft = 0; nowSoft = 0; expired = 0;
#endif
#ifdef SETTLING
    window = 0; settled = 0; groupWindow = 0;
#endif
#ifdef IN_ERROR
    paused = 0;
#endif
    skip
}

/* The flight of a process whose lease is being taken; `flights` for none. */
inline findStarting(f, process) {
    f = 0;
    do
    :: f < flights && !(f_process[f] == process && f_state[f] == starting) -> f++
    :: else -> break
    od
}

inline depart(keepsValue) {
    f = flights; flights++;
    f_state[f] = starting; f_process[f] = process; f_stamp1[f] = now1; f_stamp2[f] = now2; f_over[f] = cas;
    f_claims[f] = keepsValue;
#ifdef SOFT
    f_softRead[f] = nowSoft;
#ifdef CLAIM_UNDER_OLD /* planted: a claim keeps the half that the value has */
    f_soft[f] = (keepsValue -> soft : nowSoft);
#else
    f_soft[f] = nowSoft;
#endif
#endif
#ifdef SETTLING
#ifdef FORGET_WINDOW /* planted: of the item that it replaces */
    f_window[f] = groupWindow;
#else
    f_window[f] = window || groupWindow;
#endif
#endif
#ifdef LOAD_BEFORE_STAMPS
    f_version[f] = early;
#endif
    run Flight(f SAME_REGISTER)
}

/* Whoever held the lease has lost it: an invalidation, an eviction. */
inline releaseHolders() {
    k = 0;
    do
    :: k < FLIGHTS -> if :: isOfRegister(k) -> f_holds[k] = 0 :: else fi; k++
    :: else -> k = 0; break
    od
}

/* The same for a group. */
inline releaseHoldersOfGroup() {
    k = 0;
    do
    :: k < FLIGHTS -> if :: STAMPS == 1 || isOfRegister(k) -> f_holds[k] = 0 :: else fi; k++
    :: else -> k = 0; break
    od
}

/* What nobody looks at any more: equal states are found to be equal. */
inline settle(f) {
    f_over[f] = 0; f_claims[f] = 0
}

/* The write that takes the lease. I3: while another one's runs, this load must not begin. */
inline takeLease(f) {
    k = 0;
    do
#ifdef WITHOUT_I3 /* for the mistakes that are to break I1 or I2 */
    :: k < FLIGHTS -> k++
#else
    :: k < FLIGHTS -> assert(!(f_holds[k] && isOfRegister(k)) /* I3 */); k++
#endif
    :: else -> k = 0; break
    od;
    /* Stamps that are outdated already hold nothing: the next reader takes the register over. */
    f_holds[f] = (f_stamp1[f] == read1 && f_stamp2[f] == read2);
    occupyV(f);
    settle(f)
}

#ifdef PLAIN_CLAIM /* planted: the claim is a plain set */
#define canTake(f) (v_cas == f_over[f] || (f_claims[f] && v_kind == VALUE))
#else
#define canTake(f) (v_cas == f_over[f])
#endif

/* A write that was not confirmed and happens after all. Nothing is loaded under it. */
proctype LateWrite(byte f AND_REGISTER) {
    atomic {
        true;
        if
        :: canTake(f) -> occupyV(f)
        :: else
        fi
    }
}

/* A fill that was not confirmed and happens after all. */
proctype LateFill(byte f, cas, stamp1, stamp2 AND_REGISTER) {
    atomic {
        true;
        if
        :: v_kind != ABSENT && v_cas == cas -> fillV(f_version[f], f, stamp1, stamp2)
        :: else
        fi
    }
}

/* A register that could not be filled is given back when the store answers, if it carries the token still. */
proctype GiveBack(byte f AND_REGISTER) {
    byte cas;
    bool isMine;
    atomic { isMine = v_kind != ABSENT && v_token == f + 1; cas = v_cas };
    atomic {
        if
        :: isMine && v_cas == cas && v_kind == PENDING -> removeV()
        :: isMine && v_cas == cas && v_kind == VALUE -> v_cas = (v_cas % 128) - v_token; v_token = 0
        :: else
        fi
    }
}

/* The lease is prolonged by a swap of the item that carries the token, for the same token, once. */
inline readForProlonging(f) {
    atomic {
#ifdef PROLONG_WHATEVER /* planted: whatever stands there */
        isMine = v_kind != ABSENT && v_cas < 128;
#else
        isMine = v_kind != ABSENT && v_token == f + 1 && v_cas < 128;
#endif
        cas = v_cas
    }
}

inline prolong(f) {
    atomic {
        if
        :: isMine && v_cas == cas ->
            assert(f_state[f] != landed /* never at the same time as the fill */);
            k = 0;
            do
            :: k < FLIGHTS -> assert(k == f || !(f_holds[k] && isOfRegister(k)) /* I3 */); k++
            :: else -> k = 0; break
            od;
#ifdef PROLONG_WHATEVER
            v_kind = PENDING; v_version = 0; v_stale = 0; v_token = f + 1;
            v_stamp1 = f_stamp1[f]; v_stamp2 = f_stamp2[f]; v_cas = f + 1;
#endif
            v_cas = v_cas + 128; f_leaseOver[f] = 0;
            f_holds[f] = (f_stamp1[f] == read1 && f_stamp2[f] == read2)
        :: else
        fi;
        isMine = 0; cas = 0
    }
}

#ifdef PROLONG_DURING_FILL /* planted: at any time */
proctype Prolong(byte f AND_REGISTER) {
    byte cas;
    bool isMine;
    readForProlonging(f);
    prolong(f)
}
#endif

proctype Flight(byte f AND_REGISTER) {
    byte cas, stamp1, stamp2;
    bool isMine;
    atomic {
        if
        :: troubles > 0 ->
            troubles--; f_state[f] = trouble; f_orphaned[f] = 1;
            if
            :: true -> run LateWrite(f SAME_REGISTER)
            :: true
            fi;
            goto over
        :: canTake(f) ->
            takeLease(f);
#ifdef READ_BACK
            goto readBack;
#endif
            f_state[f] = loading;
            /* The loader begins, only now that the token stands in the store. It may begin later, which is better. */
#ifndef LOAD_BEFORE_STAMPS
            f_version[f] = LOADED;
#endif
#ifdef SETTLING
            f_settling[f] = f_window[f] && w_open;
#endif
            if
            :: crashes > 0 -> crashes--; f_state[f] = stuck; goto over
            :: true
            fi
        :: !canTake(f) ->
            settle(f);
#ifdef READ_BACK
            goto readBack;
#endif
            f_state[f] = lost; f_stamp1[f] = 0; f_stamp2[f] = 0; goto over
        fi
    }
#ifdef READ_BACK
    /* The store says nothing to the write; what stands there some time later tells. */
readBack:
    atomic {
        if
#ifdef CONFIRM_ANY /* planted: any token will do */
        :: v_token != 0 ->
#else
        :: v_token == f + 1 ->
#endif
            f_told[f] = v_cas; f_isCurrent[f] = 1; f_state[f] = loading; f_version[f] = db;
#ifndef WITHOUT_I3
            k = 0;
            do
            :: k < FLIGHTS -> assert(k == f || !(f_holds[k] && isOfRegister(k)) /* I3 */); k++
            :: else -> k = 0; break
            od
#endif
        :: v_kind == ABSENT -> f_state[f] = trouble; f_orphaned[f] = 1; goto over  /* gone: a load without a lease */
        :: else -> f_state[f] = lost; f_stamp1[f] = 0; f_stamp2[f] = 0; goto over
        fi
    }
#endif
#if PROLONGS
    if
    :: atomic { prolongs > 0 -> prolongs-- };
#ifdef PROLONG_DURING_FILL
        run Prolong(f SAME_REGISTER)
#else
        readForProlonging(f);
        prolong(f)
#endif
    :: true
    fi;
#endif
    /* The loader returns: its callers have the value now. Fill: read the register, and swap it if it carries the token.
       The read is one step with the landing: what comes between the two leaves a token there or takes it away for
       good, which the swap notices as well. */
#ifdef IN_ERROR
    /* The loader throws: what was cached before stays, and the lease is given back. */
    if
    :: atomic {
        fails > 0 -> fails--; f_failed[f] = 1;
        if
        :: v_kind == PENDING && v_token == f + 1 -> removeV()
        :: v_kind == VALUE && v_token == f + 1 -> v_cas = v_cas - v_token; v_token = 0; v_paused = 1
        :: else
        fi;
        f_state[f] = ended; f_holds[f] = 0; f_stamp1[f] = 0; f_stamp2[f] = 0; goto over }
    :: true
    fi;
#endif
#ifdef OWN_GROUP
    /* The load tells its group. Whose stamp was not read before: it is read, and the loader runs once more. */
    if
    :: f_stamp2[f] == 0 ->
        atomic { if :: read2 == 0 -> newStamp(read2) :: else fi; f_stamp2[f] = read2 };
#ifndef OWN_STAMP_AT_FILL /* planted: it does not */
        f_version[f] = db
#endif
    :: f_stamp2[f] != 0
    fi;
#endif
#ifdef STAMPS_AT_FILL /* planted: the stamps are read when the load is over */
    stamp1 = f_stamp1[f]; stamp2 = f_stamp2[f];
    atomic { if :: g1 != 0 -> stamp1 = g1 :: else fi; if :: g2 != 0 -> stamp2 = g2 :: else fi }
#endif
fill:
    atomic {
        f_state[f] = landed;
#ifndef STAMPS_AT_FILL
        stamp1 = f_stamp1[f]; stamp2 = f_stamp2[f];
#endif
#ifdef READ_BACK
        if
        /* By the id that was told, without reading; once. */
        :: f_told[f] != 0 && f_isCurrent[f] -> isMine = 1; cas = f_told[f]; f_told[f] = 0; goto swap
        :: else -> f_told[f] = 0
        fi;
#endif
#ifdef NO_TOKEN_CHECK /* planted: whatever stands there is swapped */
        isMine = v_kind != ABSENT;
#else
        isMine = v_kind != ABSENT && v_token == f + 1;
#endif
        cas = v_cas
    }
swap:
    atomic {
        if
        :: fillTroubles > 0 && isMine ->
            fillTroubles--; f_orphaned[f] = 1;
            if
            :: true -> run LateFill(f, cas, stamp1, stamp2 SAME_REGISTER)
            :: true
            fi;
            run GiveBack(f SAME_REGISTER)
        :: isMine && v_cas == cas -> fillV(f_version[f], f, stamp1, stamp2); stored = 1;
#if REFRESHES
            f_filled[f] = 1;
#endif
            skip
        /* Another item with the same token, from which a refresh has removed the old value: once more. */
        :: isMine && v_cas != cas && v_kind != ABSENT && v_token == f + 1 -> cas = 0; goto fill
        :: else
        fi;
        f_state[f] = ended; f_holds[f] = 0; f_stamp1[f] = 0; f_stamp2[f] = 0
    }
over:
    skip
}

proctype Reader(byte id; byte process AND_REGISTER) {
#ifdef SOFT
    byte soft, nowSoft, needFresh;
    bool expired;
#endif
#ifdef SETTLING
    bool window, settled, groupWindow;
#endif
    byte calls, need, kind, version, token, stamp1, stamp2, cas, now1, now2, suspect, f;
    /* What stood there when a refresh began, and what it keeps while it loads. */
    byte wasValue, wasLease, kept;
#ifdef IN_ERROR
    byte keptVersion;
    bool paused;
#endif
    bool stale, refreshing, hasRead;
#ifdef LOAD_BEFORE_STAMPS /* planted */
    byte early;
#endif

    do
    :: calls < CALLS ->
        atomic {
            calls++; need = acked; refreshing = 0;
#ifdef SOFT
            needFresh = (acked > softAcked -> acked : softAcked);
#endif
#ifdef SETTLING
            need = settledAcked;
#endif
            if
            /* A refresh wants what is there now. */
            :: refreshes > 0 -> refreshes--; refreshing = 1; need = db
            :: true
            fi
        }
again:
#ifdef LOAD_BEFORE_STAMPS
        early = db;
#endif
        /* One multi-get, the value key before or after the groups. What the process does by
           itself after that is one step with its last read. */
        if
        :: readV(); atomic { readGroups(); goto judge }
        :: atomic { readGroups() }; atomic { readV(); goto judge }
        fi;

/* Its own process knows better than the lease what became of a load. */
#define isRunning (token != 0 && !f_leaseOver[token - 1] && !(f_orphaned[token - 1] && f_process[token - 1] == process))
#define isNewer (identityOf(kind, cas) != wasValue && identityOf(kind, cas) != wasLease)
#define isCurrent isOfStamps
#ifdef KEEP_WHATEVER /* planted: it is kept under other stamps, too */
#define mayKeep true
#else
#define mayKeep isCurrent
#endif
#ifdef SOFT
#define isStale (stale || soft != nowSoft)
/* What is told of it is fresh by what was read. */
#define mayShare(f) (f_soft[f] == nowSoft && !expired)
#else
#define isStale stale
#ifdef SETTLING
#define mayShare(f) (f_state[f] == loading || !f_settling[f] || w_open)
#else
#define mayShare(f) true
#endif
#endif
#ifdef SETTLING
#define isGone (kind == VALUE && settled && !w_open)
#else
#define isGone false
#endif
judge:
#ifdef OWN_GROUP
        if
        :: kind == VALUE -> now2 = read2
        :: else
        fi;
#endif
        atomic {
        if
        :: refreshing && !hasRead -> hasRead = 1; wasValue = identityOf(kind, cas); wasLease = token
        :: else
        fi;
        if
        /* A group without a stamp is given one, and everything is read again. */
        :: stampMissing -> goto plant
        :: !stampMissing
        fi;
        if
        :: isGone -> goto acquire
#ifdef IN_ERROR
        :: kind == VALUE && isCurrent && (!stale || paused) -> goto serve
        :: kind == VALUE && isCurrent && stale && !paused && isRunning -> goto wait
        :: kind == VALUE && isCurrent && stale && !paused && !isRunning -> goto acquire
#else
        :: !isGone && kind == VALUE && isCurrent && !refreshing && (!isStale || isRunning) ->
#ifdef SOFT
            assert(isStale || version >= needFresh /* expired */);
#endif
            goto serve                                              /* rules 1 and 2 */
        :: !isGone && kind == VALUE && isCurrent && !refreshing && isStale && !isRunning ->
            goto claim                                              /* rule 3 */
#endif
        /* Of a load that began after this refresh did. */
        :: kind == VALUE && isCurrent && refreshing && !stale && isNewer ->
            goto serve
#ifdef REFRESH_TAKES_OVER /* planted: a refresh ends the lease of another */
        :: kind != ABSENT && isCurrent && refreshing && isRunning && !(kind == VALUE && !stale && isNewer) ->
            goto acquire
#else
        :: kind == VALUE && isCurrent && refreshing && isRunning && !(!stale && isNewer) ->
            goto wait
#endif
        :: kind == VALUE && isCurrent && refreshing && !isRunning && !(!stale && isNewer) ->
            goto acquire
#ifdef JOIN_TOKEN_ONLY /* planted: whoever reads the token joins, whatever the stamps */
        :: kind == PENDING && !refreshing && isRunning ->
            goto wait
#else
#ifdef REFRESH_TAKES_OVER
        :: kind == PENDING && isCurrent && !refreshing && isRunning ->
#else
        :: kind == PENDING && isCurrent && isRunning ->
#endif
            goto wait                                               /* rule 4 */
        /* A lease under other stamps may be newer than the stamps that were read: these are read again, and then, after
           the lease was seen, they tell. */
        :: !isGone && kind != ABSENT && !isCurrent && isRunning && token != suspect ->
#ifdef NO_SECOND_LOOK /* planted */
            goto acquire;
#endif
            suspect = token; forget(); goto again
        :: !isGone && kind != ABSENT && !isCurrent && isRunning && token == suspect ->
            goto acquire                                            /* rule 5 */
#endif
        :: !isGone && (kind == ABSENT || (kind == PENDING && !isRunning) || (kind == VALUE && !isCurrent && !isRunning)) ->
            goto acquire                                            /* rule 5 */
#ifdef JOIN_TOKEN_ONLY
        :: kind == VALUE && !isCurrent && isRunning -> goto acquire
#endif
        fi
        };

plant:
        atomic {
            if
            :: now1 == 0 -> if :: read1 == 0 -> newStamp(read1) :: else fi
            :: now1 != 0 -> if :: read2 == 0 -> newStamp(read2) :: else fi
            fi;
            forget(); goto again
        };

serve:
        atomic { assert(version >= need /* I1, I2, I5 */); goto answered };

claim:
        /* Refreshed in the background: the winner is served the stale value too. */
        atomic {
            findStarting(f, process);
            if
            :: f < flights
            :: f == flights && flights < FLIGHTS -> depart(1)
            fi;
            f = 0; goto serve
        };

wait:
#ifdef JOIN_ANY /* planted: any flight of the key will do */
        atomic {
            f = 0;
            do
            :: f < flights && !(f_process[f] == process && f_state[f] == loading) -> f++
            :: else -> break
            od
        }
        if :: f < flights -> goto share :: else fi;
#else
        f = token - 1;
        if
        :: atomic { f_process[f] == process && f_state[f] == loading && !refreshing && !f_leaseOver[f] && mayShare(f) -> forget(); goto share }
        /* Of a load that has landed, whose fill is under way: its value, by the token that was read. */
        :: atomic { f_process[f] == process && f_state[f] == landed && !refreshing && mayShare(f) && !hasFailed(f) && isForAll ->
            version = f_version[f];
#ifdef SOFT
            assert(version >= needFresh);
#endif
            goto serve }
#ifdef TAKE_OVER_LANDED /* planted */
        :: f_process[f] == process && f_state[f] == landed -> goto acquire
#endif
        :: else
        fi;
#endif
        if
        :: atomic { forget(); goto again }
#if WAIT_LIMIT
        :: goto unleased
#endif
        fi;

acquire:
        atomic {
#ifdef JOIN_ANY
            f = 0;
            do
            :: f < flights && !(f_process[f] == process && (f_state[f] == loading || f_state[f] == starting)) -> f++
            :: else -> break
            od;
#else
            findStarting(f, process);
#endif
            if
            :: f < flights -> forget(); goto await  /* another caller's attempt serves this one too */
            :: f == flights && flights < FLIGHTS ->
                if
                :: kind == VALUE && mayKeep -> kept = identityOf(kind, cas)
                :: else -> kept = 0
                fi;
#ifdef IN_ERROR
                keptVersion = version;
#endif
                depart(kind == VALUE && mayKeep)
            fi;
            forget()
        }
        /* One's own flight: its outcome, however long it takes. */
        if
        :: f_state[f] == lost -> atomic { forget(); goto again }
        :: f_state[f] == trouble -> goto unleased
#ifdef REFRESH_UNCONFIRMED /* planted: a refresh that returns before its fill */
        :: atomic { refreshing && f_state[f] == landed -> goto refreshed }
#endif
        :: atomic { !refreshing && !hasFailed(f) && (f_state[f] == landed || f_state[f] == ended) -> assert(f_version[f] >= need /* I1, I2 */); goto answered }
#ifdef IN_ERROR
        :: atomic { hasFailed(f) -> assert(kept == 0 || keptVersion >= need /* I1, I2 */); goto answered }
#endif
        :: atomic { refreshing && f_state[f] == ended && f_filled[f] -> goto refreshed }
        /* What it was to replace is removed, and a load that runs on that keeps its lease. */
        :: atomic { refreshing && f_state[f] == ended && !f_filled[f] ->
            if
            :: kept != 0 && v_kind == VALUE && identityOf(v_kind, v_cas) == kept && v_token != 0 ->
                v_kind = PENDING; v_version = 0; v_stale = 0; v_cas = v_token + 8
            :: kept != 0 && v_kind == VALUE && identityOf(v_kind, v_cas) == kept && v_token == 0 -> removeV()
            :: else
            fi;
            goto refreshed }
        fi;

refreshed:
        /* Nobody reads an older value from now on. */
        atomic {
            assert(f_version[f] >= need);
            if :: acked < f_version[f] -> acked = f_version[f] :: else fi;
            goto answered
        };

await:
        /* The load begins after this call did, whatever this call has read. A refresh reads what it stores. */
        if
        :: f_state[f] == lost -> atomic { forget(); goto again }
        :: f_state[f] == trouble -> goto unleased
        :: refreshing && f_state[f] == ended -> atomic { forget(); goto again }
        :: refreshing && f_leaseOver[f] && f_state[f] != ended -> atomic { forget(); goto again }
        :: !refreshing && (f_state[f] == loading || f_state[f] == landed || f_state[f] == ended || f_state[f] == stuck)
        fi;

share:
        if
        :: atomic { !isForAll && f_state[f] == ended -> forget(); goto again }
#ifdef IN_ERROR
        /* The error, or the value that stays, which is read. */
        :: atomic { hasFailed(f) -> if :: forget(); goto again :: goto answered fi }
#endif
        :: atomic { isForAll && !hasFailed(f) && (f_state[f] == landed || f_state[f] == ended) -> version = f_version[f];
#ifdef SOFT
            assert(version >= needFresh);
#endif
#ifdef SETTLING
            /* What was loaded in the window is told to all who share the load. */
            if :: f_settling[f] -> goto answered :: else fi;
#endif
            goto serve }
        :: atomic { f_leaseOver[f] && f_state[f] != landed && f_state[f] != ended -> forget(); goto again }
        fi;

unleased:
        /* Shared by those of this process who came before the load began. */
        u_state[id] = 1;
        if
        :: atomic {
            u_state[id] == 1 ->
            k = 0;
            do
            :: k < READERS ->
                if
                :: u_state[k] == 1 && PROCESS_OF(k) == process -> u_state[k] = 2; u_version[k] = LOADED
                :: else
                fi;
                k++
            :: else -> k = 0; break
            od
        }
        :: u_state[id] == 2
        fi;
        atomic { version = u_version[id]; u_state[id] = 0; u_version[id] = 0 }
#ifdef UNLEASED_FILLS /* planted */
        atomic { if :: now1 != 0 && now2 != 0 -> fillV(version, 14, now1, now2) :: else fi };
#endif
        if
        /* It has replaced nothing, so what is there is removed. */
        :: refreshing -> atomic { if :: v_kind == VALUE -> removeV(); releaseHolders() :: else fi }
        :: else
        fi;
        goto serve;

answered:
        atomic {
            forget(); f = 0; suspect = 0; need = 0; refreshing = 0; hasRead = 0; wasValue = 0; wasLease = 0; kept = 0;
#ifdef IN_ERROR
            keptVersion = 0;
#endif
            skip
        }
    :: else -> break
    od
}

/* One write of an invalidation. */
#define reach(write) \
    atomic { \
        if \
        :: losses > 0 -> losses--; missed = missed | (1 << reg) \
        :: true -> write \
        fi \
    }

inline invalidateKey() {
#ifdef SPARE_PENDING /* planted: an exact invalidation leaves a pending item alone */
    if :: v_kind == VALUE -> removeV(); releaseHolders() :: else fi
#else
    removeV(); releaseHolders();
#ifdef SETTLING
    v_kind = PENDING; v_cas = 8; v_window = 1; w_open = 1;
#endif
    skip
#endif
}

inline invalidateGroup(g) {
    nextStamp(g); releaseHoldersOfGroup();
#ifdef SETTLING
    g_window = 1; w_open = 1;
#endif
    skip
}

/* The same in the other place. */
#if REGISTERS == 2
#define other() atomic { reg = 1 - reg }
#ifdef SPARE_VERSION /* planted: an exact invalidation removes the keys of its own version only */
#define everyKey() reg = 0; reach(invalidateKey())
#else
#define everyKey() reach(invalidateKey()); other(); reach(invalidateKey())
#endif
#else
#define everyKey() reach(invalidateKey())
#endif
#if STAMPS == 2 && !defined(SPARE_SERVER) && !defined(STAMPS_OF_VERSION) /* planted: one of two gets a new stamp */
#define everyGroup(g) reach(invalidateGroup(g)); other(); reach(invalidateGroup(g))
#else
#define everyGroup(g) reach(invalidateGroup(g))
#endif

/* Changes the database, then invalidates. */
proctype Updater() {
    byte updates, mine, missed;
#if REGISTERS == 2
    byte reg;
#endif
#ifdef SOFT
    byte cas, hard, soft;
    bool isThere;
#endif
    do
    :: updates < UPDATES ->
        atomic {
            db++; updates++; mine = db;
#if REGISTERS == 2 /* in either order */
            if
            :: reg = 0
            :: reg = 1
            fi
#endif
        }
        if
        :: everyKey()
        :: everyGroup(g1)
        :: everyGroup(g2)
#ifdef SOFT
        :: goto expireKey
        :: goto expireGroup
#endif
        fi;
        atomic {
#if REGISTERS == 2
            if :: !(missed & 1) && v[0].done < mine -> v[0].done = mine :: else fi;
            if :: !(missed & 2) && v[1].done < mine -> v[1].done = mine :: else fi;
            missed = 0; reg = 0
#else
            if :: acked < mine -> acked = mine :: else fi
#endif
        };
#ifdef SOFT
        goto updated;
expireKey:
        atomic { isThere = v_kind != ABSENT; cas = v_cas }
        atomic {
            if
#ifdef SPARE_EXPIRED /* planted: what is being loaded is left alone */
            :: isThere && v_cas == cas && v_kind == PENDING
#else
            :: isThere && v_cas == cas && v_kind == PENDING ->
                if :: v_cas < 64 -> v_cas = v_cas + 64 :: else fi;
                v_expired = 1
#endif
            :: isThere && v_cas == cas && v_kind == VALUE ->
                if :: v_cas < 64 -> v_cas = v_cas + 64 :: else fi;
                v_stale = 1; v_expired = (v_token != 0)
            :: isThere && v_cas != cas -> goto expireKey
            :: !isThere
            fi
        }
        atomic { if :: softAcked < mine -> softAcked = mine :: else fi };
        goto updated;
expireGroup:
        atomic { hard = g1; soft = s1 }
        atomic {
            if
#ifdef REVIVE_STAMP /* planted: whatever stands there */
            :: true -> g1 = hard; softFresh++; s1 = softFresh
#else
            :: g1 == hard && s1 == soft && hard != 0 -> softFresh++; s1 = softFresh
            :: hard == 0
            :: !(g1 == hard && s1 == soft) && hard != 0 -> goto expireGroup
#endif
            fi
        }
        atomic { if :: softAcked < mine -> softAcked = mine :: else fi };
updated:
        atomic { isThere = 0; cas = 0; hard = 0; soft = 0 }
#endif
    :: else -> break
    od
}

/* The store loses what it likes; time goes on. */
#ifdef ENDLESS_LEASE /* planted */
#define mayEnd(f) false
#elif defined(LIVENESS) /* a loader that returns does so within its lease */
#define mayEnd(f) (!f_leaseOver[f] && f_state[f] == stuck)
#else
#define mayEnd(f) (!f_leaseOver[f] && (f_state[f] == loading || f_state[f] == stuck || f_state[f] == trouble || f_orphaned[f]))
#endif
#define leaseEnds(f) atomic { mayEnd(f) -> f_leaseOver[f] = 1; f_holds[f] = 0 }

proctype World(REGISTER) {
endWorld:
    do
    :: atomic { evictions > 0 && v_kind != ABSENT -> evictions--; removeV(); releaseHolders() }
    :: atomic { evictions > 0 && g1 != 0 -> evictions--; g1 = 0; releaseHoldersOfGroup() }
    :: atomic { evictions > 0 && g2 != 0 -> evictions--; g2 = 0; releaseHoldersOfGroup() }
    :: atomic { stales > 0 && v_kind == VALUE && !v_stale -> stales--; v_stale = 1 }
#ifdef IN_ERROR
    :: atomic { v_paused -> v_paused = 0 }
#endif
#ifdef SETTLING
    :: atomic { rep < db -> rep = db }
    :: atomic { w_open && rep == db && acked == db -> w_open = 0; settledAcked = db }
#endif
#if RESTARTS
    :: atomic { restarts > 0 -> restarts--; oldID = f_told[0]; removeV(); releaseHolders();
#ifndef TOLD_OVER_RESTART /* planted: an id that was told is good for ever */
        do :: k < FLIGHTS -> f_isCurrent[k] = 0; k++ :: else -> k = 0; break od
#else
        skip
#endif
        }
#endif
    :: leaseEnds(0)
#if FLIGHTS > 1
    :: leaseEnds(1)
#endif
#if FLIGHTS > 2
    :: leaseEnds(2)
#endif
#if FLIGHTS > 3
    :: leaseEnds(3)
#endif
#if FLIGHTS > 4
    :: leaseEnds(4)
#endif
    od
}

init {
    atomic {
        k = 0;
        do
#if REGISTERS == 2
        :: k < READERS -> run Reader(k, PROCESS_OF(k), PROCESS_OF(k)); k++
#else
        :: k < READERS -> run Reader(k, PROCESS_OF(k)); k++
#endif
        :: else -> k = 0; break
        od;
        run Updater();
#if UPDATERS == 2
        run Updater();
#endif
#if REGISTERS == 2
        run World(0);
        run World(1)
#else
        run World()
#endif
    }
}

/* Liveness: although a loader crashes, some caller's load is stored. */
#ifdef LIVENESS /* nothing else goes wrong, and World is fair: a lease ends at last */
ltl storedAtLast { <> stored }
#endif
