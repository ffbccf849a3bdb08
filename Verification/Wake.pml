/*
 * How tasks wake the thread that takes their calls: `CallStack` and `CallQueue`. That the thread sleeps is a state of the
 * stack; the task that pushes over it wakes the thread. `verify` checks that no call is left lying with the thread asleep
 * for ever, and that planted mistakes leave one.
 */
#ifndef TASKS
#define TASKS 3
#endif
#define EMPTY 0
#define ASLEEP 1
#define CALLS 2

byte top = EMPTY;       /* of the stack; how many calls it has: */
byte pushed, done;
bool lock, woken, waiting;  /* `waiting`: in the condition variable, which gives the lock away */

inline acquire() { atomic { !lock -> lock = 1 } }
inline release() { lock = 0 }

proctype Task() {
    byte seen;
#ifdef LOOK_BEFORE_PUSH /* planted: it looks whether the thread sleeps, then pushes */
    seen = top;
    atomic { top = CALLS; pushed++ };
#else
    atomic { seen = top; top = CALLS; pushed++ };
#endif
    if
    :: seen == ASLEEP ->
#ifdef WAKE_WITHOUT_LOCK /* planted */
        woken = 1;
#else
        acquire(); woken = 1; release();
#endif
        waiting = 0 /* signal */
    :: else
    fi
}

proctype Thread() {
    do
    :: done == TASKS -> break
    :: done < TASKS ->
        acquire();
        if
        :: atomic { top == CALLS -> top = EMPTY; done = done + pushed; pushed = 0 }; release()
#ifdef SLEEP_ANYWAY /* planted: no exchange, a call may have come */
        :: top != CALLS -> top = ASLEEP;
#else
        :: atomic { top == EMPTY -> top = ASLEEP };
#endif
            do
            :: woken -> break
            :: !woken ->
                atomic { waiting = 1; release() };
                if
                :: !waiting
#ifdef TIMED /* its time is over, unless somebody is going to wake it */
                :: atomic { top == ASLEEP -> top = EMPTY; waiting = 0 }; acquire(); woken = 1; break
#endif
                fi;
                acquire()
            od;
            woken = 0; release()
        fi
    od
}

init {
    byte n;
    atomic {
        run Thread();
        do :: n < TASKS -> run Task(); n++ :: else -> break od
    }
}
