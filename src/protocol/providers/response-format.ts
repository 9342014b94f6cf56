/** The shape of an answer that a turn asks for, whichever way it was written. */
import { asObject, asText, type JsonObject } from './json-value.ts';
import { unsupported } from './unsupported.ts';

export type ResponseFormat =
  | { readonly type: 'text' }
  | { readonly type: 'json_object' }
  | {
      readonly type: 'json_schema';
      readonly name: string;
      readonly schema: JsonObject;
      readonly description: unknown;
      readonly strict: unknown;
    };

/**
 * Takes the form of chat (`json_schema` in an object of its own) and the flat one of the Responses API.
 *
 * @throws MILLRACE_FIELD_UNSUPPORTED for any other.
 */
export function responseFormat(format: unknown): ResponseFormat {
  if (format === undefined || format === null) return { type: 'text' };
  const object = asObject(format);
  switch (object?.['type']) {
    case 'text':
      return { type: 'text' };
    case 'json_object':
      return { type: 'json_object' };
    case 'json_schema': {
      const { name, description, schema, strict } = asObject(object['json_schema']) ?? object;
      const [called, shape] = [asText(name), asObject(schema)];
      if (called === undefined || shape === undefined)
        throw unsupported('response_format', 'a JSON schema needs a name and a schema');
      return { type: 'json_schema', name: called, schema: shape, description, strict };
    }
    default:
      throw unsupported('response_format', 'known are text, json_object and json_schema');
  }
}
