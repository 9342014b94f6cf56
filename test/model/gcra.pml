/*
 * The limiter's one word (src/policy/limit/gcra.ts): takers, whose clocks may be old, and a clock that moves between any two of their steps. A permit is one tick, so that the bucket refills by one a tick.
 * The word never wraps here; what wrapping does is left to the property tests.
 *
 *   taken(seen, now)  max(0, seen - now): what of the bucket is still taken
 *
 * Claims: never more permits than the capacity and what has been refilled; nobody loops without somebody else getting on (no cycle at all).
 * -DREFUNDS: takers may give their permits back. -DBROKEN_REFUND: that swap is not looked at. -DBROKEN_RESET: a bucket that is full again begins anew, as a word nobody used: it no longer knows how
 * late it is, and whoever comes with an old clock gets what that clock says.
 * -DBROKEN_SWAP: the swap is not looked at. -DBROKEN_READ: the old word is taken for the new one.
 */
#ifdef REFUNDS
#define CAPACITY 1
#define TICKS 1
#else
#define CAPACITY 2
#define TICKS 2
#endif
#define TAKERS 3
#define EACH 2

byte word = 0;
byte now = 0;
/* Permits that went out, without those that came back. */
byte given = 0;

inline taken(seen, at, result) {
  if
  :: seen > at -> result = seen - at
  :: else -> result = 0
  fi
}

proctype taker() {
  byte seen, at, used, n;
  bool isOurs;
  n = 0;
  do
  :: n < EACH ->
    at = now;                               /* the caller's clock, read once */
again:
    seen = word;                            /* words.peek(at) */
    taken(seen, at, used);
    if
    :: used + 1 <= CAPACITY ->
#ifdef BROKEN_READ
      word = at + used + 1;                 /* a store, as if nobody else were there */
      isOurs = true;
#else
      d_step {                              /* words.compareAndSet(…) */
        isOurs = (word == seen);
        if
        :: isOurs -> word = at + used + 1
        :: else
        fi
      };
#endif
#ifdef BROKEN_SWAP
      isOurs = true;
#endif
      if
      :: isOurs -> given++; assert(given <= CAPACITY + now);
#ifdef REFUNDS
        if
        :: skip
        :: at = now;                        /* give() */
back:
          seen = word;
          taken(seen, at, used);
          if
          :: used == 0                      /* refilled meanwhile: nothing to give */
          :: else ->
            d_step {
#ifdef BROKEN_REFUND
              isOurs = true;
#else
              isOurs = (word == seen);
#endif
              if
#ifdef BROKEN_RESET
              :: isOurs && used == 1 -> word = 0; given--
              :: isOurs && used > 1 -> word = seen - 1; given--
#else
              :: isOurs -> word = seen - 1; given--
#endif
              :: else
              fi
            };
            if
            :: isOurs
            :: else -> goto back
            fi
          fi
        fi
#endif
      :: else -> goto again
      fi
    :: else ->
      if
      :: word == seen                       /* refused: what was seen is what there is */
      :: else -> goto again
      fi
    fi;
    n++
  :: else -> break
  od
}

proctype clock() {
  do
  :: now < TICKS -> now++
  :: else -> break
  od
}

init {
  byte n;
  atomic {
    n = 0;
    do
    :: n < TAKERS -> run taker(); n++
    :: else -> break
    od;
    run clock()
  }
}
