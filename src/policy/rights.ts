/** What a key allows. Pure. */

/** May this model be named? `models`: names, one that ends in * standing for all that begin so; undefined: every model. */
export function modelAllowed(models: readonly string[] | undefined, model: string): boolean {
  if (models === undefined) return true;
  return models.some((allowed) =>
    allowed.endsWith('*') ? model.startsWith(allowed.slice(0, -1)) : model === allowed,
  );
}
