import { createExporter, type MetricsRegistry } from '../observe/prometheus.ts';
import type { Assembled } from './assemble.ts';
import type { Metrics } from './engine.ts';

/** The engine's counters for its owner: readable before, while and after it runs. */
export class EngineMetrics implements Metrics {
  readonly #exporter;
  readonly #registered = new Set<() => void>();

  constructor(parts: () => Assembled | undefined) {
    this.#exporter = createExporter(() => parts()?.counted);
  }

  get contentType(): string {
    return this.#exporter.contentType;
  }

  exportText(): Promise<string> {
    return this.#exporter.text();
  }

  register(registry: MetricsRegistry): () => void {
    const remove = this.#exporter.register(registry);
    this.#registered.add(remove);
    return () => {
      if (this.#registered.delete(remove)) remove();
    };
  }

  /** Takes them out of every registry. */
  unregister(): void {
    for (const remove of this.#registered) remove();
    this.#registered.clear();
  }
}
