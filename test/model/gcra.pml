/*
 * The limiter's one word (src/policy/limit/gcra.ts): takers, whose clocks may be old, and a clock that moves between any two of their steps. A permit is one tick, so that the bucket refills by one a tick.
 * The word never wraps here; what wrapping does is left to the property tests, and what is given back to the search over the code itself.
 *
 *   taken(seen, now)  max(0, seen - now): what of the bucket is still taken
 *
 * Claims: never more permits than the capacity and what has been refilled; nobody loops without somebody else getting on (no cycle at all).
 * -DBROKEN_SWAP: the swap is not looked at. -DBROKEN_READ: the old word is taken for the new one.
 */
#define CAPACITY 2
#define TICKS 2
#define TAKERS 3
#define EACH 2

byte word = 0;
byte now = 0;
/* Permits that went out. */
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
      :: isOurs -> given++; assert(given <= CAPACITY + now)
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
