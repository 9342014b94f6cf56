/** The known name that a mistyped one most likely meant, for "did you mean". */

/** Undefined when nothing is close: a wrong hint is worse than none. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const text = fold(typed);
  const most = Math.max(1, Math.min(3, Math.floor(text.length / 3)));
  let best: string | undefined;
  let bestDistance = most + 1;
  for (const name of known) {
    const distance = distanceOf(text, fold(name));
    if (distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

/** Case and separators are the usual slips: they cost nothing. */
const fold = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '');

/** Optimal string alignment: insertions, deletions, replacements, and swaps of neighbours cost 1 each. */
function distanceOf(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, before[j - 2] + 1);
      }
      row.push(least);
    }
    before = last;
    last = row;
  }
  return last[b.length];
}
