/** What has been started, to be stopped in the opposite order. */
export class Started {
  readonly #stops: ((drain: boolean) => unknown)[] = [];

  then(stop: (drain: boolean) => unknown): void {
    this.#stops.push(stop);
  }

  async stop(drain: boolean): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop(drain);
  }
}
