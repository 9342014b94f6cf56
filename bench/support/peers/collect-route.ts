/** A route that collects the garbage of its worker (run with --expose-gc). */
export default async function* route(): AsyncGenerator<string> {
  const collect: unknown = Reflect.get(globalThis, 'gc');
  if (typeof collect === 'function') {
    collect();
    collect();
  }
  yield 'collected';
}
