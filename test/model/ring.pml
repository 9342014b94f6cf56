/*
 * A ring's bells (src/memory/ring.ts): the reader sleeps when it finds nothing, the writer when there is no space, and each rings the other one only if that has said that it sleeps.
 *
 *     consumer: asleep = 1; load head  → something there? then awake after all
 *     producer: head = …;   load asleep → 1? swap it to 0 and ring
 *
 * Claims: nothing is read twice, early or out of order; nobody sleeps for ever (no schedule ends with a sleeper, and none goes on for ever).
 * -DBROKEN_SLEEP: the reader does not look again. -DBROKEN_STARVED: the writer does not. -DBROKEN_PUBLISH: the head is moved before the record is written.
 */
#define SPACE 2
#define RECORDS 5

byte ring[SPACE];
byte head = 0, tail = 0;
bool asleep = false, starved = false;
chan readerBell = [8] of { bit };
chan writerBell = [8] of { bit };

proctype writer() {
  byte next = 1;
  bool was;
  do
  :: next > RECORDS -> break
  :: else ->
    do
    :: head - tail < SPACE -> break
    :: else ->
      starved = true;
#ifndef BROKEN_STARVED
      if
      :: head - tail < SPACE -> starved = false; break
      :: else
      fi;
#endif
      writerBell ? 0
    od;
#ifdef BROKEN_PUBLISH
    head++;
    ring[(head - 1) % SPACE] = next;
#else
    ring[head % SPACE] = next;
    head++;
#endif
    next++;
    if
    :: asleep ->
      d_step { was = asleep; asleep = false };
      if
      :: was -> readerBell ! 0
      :: else
      fi
    :: else
    fi
  od
}

proctype reader() {
  byte expected = 1;
  bool was;
  do
  :: expected > RECORDS -> break
  :: tail != head ->
    assert(ring[tail % SPACE] == expected);
    expected++;
    tail++;
    if
    :: starved ->
      d_step { was = starved; starved = false };
      if
      :: was -> writerBell ! 0
      :: else
      fi
    :: else
    fi
  :: expected <= RECORDS && tail == head ->
    asleep = true;
#ifndef BROKEN_SLEEP
    if
    :: tail != head -> asleep = false; goto awake
    :: else
    fi;
#endif
    readerBell ? 0;
awake:
    skip
  od
}

init {
  atomic { run writer(); run reader() }
}
