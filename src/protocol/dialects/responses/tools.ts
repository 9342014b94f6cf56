/** Tools, tool choice and output format of a response.create: function tools run at the client, so they pass; others do not. */
import type { Tool, ToolChoice } from '../../request.ts';
import { alternatives, describe, Fields, invalid, unsupported } from '../fields.ts';

const TOOLS_MAX = 1024;

export function readTools(request: Fields): Tool[] | undefined {
  const list = request.list('tools');
  if (list === undefined || list.length === 0) return undefined;
  if (list.length > TOOLS_MAX)
    throw invalid(request.at('tools'), `an array of at most ${TOOLS_MAX} tools`, list.length);
  return list.map((tool, index) => readTool(new Fields(tool, `${request.at('tools')}[${index}]`)));
}

function readTool(tool: Fields): Tool {
  const type = tool.string('type');
  if (type !== 'function')
    throw unsupported(
      tool.at('type'),
      `${describe(type)} tools run at a vendor; only "function" tools pass through here`,
    );
  // Chat's shape has the same fields one level deeper; clients mix them up.
  const from = tool.has('name') ? tool : (tool.object('function') ?? tool);
  const description = from.string('description');
  const parameters = from.passed('parameters');
  const strict = from.boolean('strict');
  if (parameters !== undefined && (typeof parameters !== 'object' || Array.isArray(parameters)))
    throw invalid(from.at('parameters'), 'a JSON Schema object', parameters);
  return {
    name: from.text('name'),
    ...(description === undefined ? {} : { description }),
    ...(parameters === undefined ? {} : { parameters }),
    ...(strict === undefined ? {} : { strict }),
  };
}

export function readToolChoice(request: Fields): ToolChoice | undefined {
  const value = request.raw('tool_choice');
  if (value === undefined || value === 'none' || value === 'auto' || value === 'required')
    return value;
  const path = request.at('tool_choice');
  if (typeof value === 'string')
    throw invalid(path, '"none", "auto", "required" or {"type":"function","name"}', value);
  const choice = new Fields(value, path);
  const type = choice.string('type');
  if (type !== 'function')
    throw unsupported(choice.at('type'), `${describe(type)} cannot be chosen; only "function" can`);
  const from = choice.has('name') ? choice : (choice.object('function') ?? choice);
  return { name: from.text('name') };
}

/**
 * `text.format` as chat's `response_format`, which is what providers are given: the Responses shape has name, schema and
 * strict beside the type, chat's has them under `json_schema`.
 */
export function readFormat(request: Fields): unknown {
  const format = request.object('text')?.object('format');
  if (format === undefined) return undefined;
  const types = ['text', 'json_object', 'json_schema'] as const;
  const type = format.oneOf('type', types);
  if (type === undefined) throw invalid(format.at('type'), alternatives(types), undefined);
  if (type === 'text') return undefined;
  if (type === 'json_object') return { type };
  const schema = format.passed('schema');
  if (typeof schema !== 'object' || Array.isArray(schema))
    throw invalid(format.at('schema'), 'a JSON Schema object', schema);
  const description = format.string('description');
  const strict = format.boolean('strict');
  return {
    type,
    json_schema: {
      name: format.text('name'),
      schema,
      ...(description === undefined ? {} : { description }),
      ...(strict === undefined ? {} : { strict }),
    },
  };
}
