/** The models a session may ask for: those the route serves, as far as its key allows. The others are to it as if they were not there. */
import { modelAllowed } from '../policy/rights.ts';
import type { ModelList } from '../protocol/dialect.ts';
import type { Rights } from '../threads/messages.ts';

export function allowedModels(served: ModelList, rights: Rights | undefined): ModelList {
  const models = rights?.models;
  if (models === undefined) return served;
  return {
    get names() {
      return served.names.filter((name) => modelAllowed(models, name));
    },
    has: (model) => modelAllowed(models, model) && served.has(model),
  };
}
