/** Which source said each option last. */
import { dotted, type Layer, leaves, type Path } from './paths.ts';

export class Origins {
  readonly #layers = new Map<string, Layer>();

  /** Layers are noted weakest first. A list replaces, with all its entries, what a weaker layer said. */
  note(layer: Layer): void {
    const said = leaves(layer.tree);
    for (const { path } of said) {
      const list = path.findIndex((key) => typeof key === 'number');
      const whole = dotted(list < 0 ? path : path.slice(0, list));
      for (const known of this.#layers.keys()) {
        if (known === whole || known.startsWith(`${whole}[`)) this.#layers.delete(known);
      }
    }
    for (const { path } of said) this.#layers.set(dotted(path), layer);
  }

  /** The layer that said exactly this; undefined: it is a default. */
  saidBy(path: Path): Layer | undefined {
    return this.#layers.get(dotted(path));
  }

  /** The layer that a word about this path concerns: a group belongs to who said something in it, a missing value to its neighbours. */
  layerOf(path: Path): Layer | undefined {
    for (let length = path.length; length > 0; length--) {
      const at = dotted(path.slice(0, length));
      const own = this.#layers.get(at) ?? this.#below(at);
      if (own) return own;
    }
    return undefined;
  }

  #below(path: string): Layer | undefined {
    for (const [known, layer] of this.#layers) {
      if (known.startsWith(`${path}.`) || known.startsWith(`${path}[`)) return layer;
    }
    return undefined;
  }
}
