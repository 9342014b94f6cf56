/** Goal: tool calls come out whole and apart, in whichever of the known ways a server writes them. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { args, bytesOf, chunkOf, decode, eventsOf, run, stop } from '../../../support/decode.ts';
import type { Step } from '../../../support/trace.ts';

describe('a tool call', () => {
  const call = (fragment: object) => chunkOf({ tool_calls: [fragment] });
  const begin = (index: number | undefined, id: string | undefined, name: string, text = '') =>
    call({ index, id, type: 'function', function: { name, arguments: text } });
  const more = (index: number | undefined, text: string, id?: string, name?: string) =>
    call({ index, id, function: { name, arguments: text } });
  const tool = (index: number, id: string, name = 'f'): Step => ({ tool: index, id, name });

  const cases: Record<string, [object[], Step[]]> = {
    'comes in fragments': [
      [begin(0, 'a', 'f'), more(0, '{"x"'), more(0, ':1}')],
      [tool(0, 'a'), args('{"x":1}')],
    ],
    'comes beside others, interleaved': [
      [begin(0, 'a', 'f', '{'), begin(1, 'b', 'f', '['), more(0, '}'), more(1, ']')],
      [tool(0, 'a'), args('{'), tool(1, 'b'), args('[', 1), args('}'), args(']', 1)],
    ],
    'comes whole, several in one chunk': [
      [
        chunkOf({
          tool_calls: [
            { index: 0, id: 'a', function: { name: 'f', arguments: '{}' } },
            { index: 1, id: 'b', function: { name: 'f', arguments: '[]' } },
          ],
        }),
      ],
      [tool(0, 'a'), args('{}'), tool(1, 'b'), args('[]', 1)],
    ],
    'without any index goes on with the last one': [
      [
        begin(undefined, 'a', 'f'),
        more(undefined, '{'),
        begin(undefined, 'b', 'f'),
        more(undefined, '['),
      ],
      [tool(0, 'a'), args('{'), tool(1, 'b'), args('[', 1)],
    ],
    'without index is found by its id': [
      [
        begin(undefined, 'a', 'f'),
        begin(undefined, 'b', 'g'),
        more(undefined, '1', 'a'),
        more(undefined, '2', 'b'),
      ],
      [tool(0, 'a'), tool(1, 'b', 'g'), args('1'), args('2', 1)],
    ],
    'without index and id, whole each time, is another each time': [
      [begin(undefined, undefined, 'f', '{}'), begin(undefined, undefined, 'f', '[]')],
      [tool(0, 'call_chatcmpl-10'), args('{}'), tool(1, 'call_chatcmpl-11'), args('[]', 1)],
    ],
    'with the index of another but an id and name of its own is another': [
      [begin(0, 'a', 'f', '{}'), begin(0, 'b', 'f', '[]')],
      [tool(0, 'a'), args('{}'), tool(1, 'b'), args('[]', 1)],
    ],
    'with the index of another, without ids, but a name of its own is another': [
      [begin(0, undefined, 'f', '{}'), begin(0, undefined, 'g', '[]')],
      [tool(0, 'call_chatcmpl-10'), args('{}'), tool(1, 'call_chatcmpl-11', 'g'), args('[]', 1)],
    ],
    'may repeat its name in every fragment, without any id': [
      [begin(0, undefined, 'f', '{'), begin(0, undefined, 'f', '}')],
      [tool(0, 'call_chatcmpl-10'), args('{}')],
    ],
    'may repeat its id and name in every fragment': [
      [begin(0, 'a', 'f', '{'), begin(0, 'a', 'f', '1'), begin(0, 'a', 'f', '}')],
      [tool(0, 'a'), args('{1}')],
    ],
    'may have an empty id and name later': [
      [begin(0, 'a', 'f', '{'), more(0, '1', '', ''), more(0, '}', '', '')],
      [tool(0, 'a'), args('{1}')],
    ],
    'may change its id in mid-call without a name': [
      [begin(0, 'a', 'f', '{'), more(0, '}', 'zzz')],
      [tool(0, 'a'), args('{}')],
    ],
    'with the id of another gets one of its own': [
      [begin(0, 'a', 'f', '{}'), begin(1, 'a', 'f', '[]')],
      [tool(0, 'a'), args('{}'), tool(1, 'a_1'), args('[]', 1)],
    ],
    'with the id of two others gets one of its own too': [
      [begin(0, 'a_2', 'f'), begin(1, 'a', 'f'), begin(2, 'a', 'f')],
      [tool(0, 'a_2'), tool(1, 'a'), tool(2, 'a_3')],
    ],
    'without an id gets one': [
      [begin(0, undefined, 'f', '{}')],
      [tool(0, 'call_chatcmpl-10'), args('{}')],
    ],
    'may be named late': [
      [more(0, '{', 'a'), more(0, '}'), more(0, '', undefined, 'f')],
      [tool(0, 'a'), args('{}')],
    ],
    'may have its arguments as an object': [
      [call({ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } })],
      [tool(0, 'a'), args('{"x":1}')],
    ],
    'may have none': [
      [call({ index: 0, id: 'a', function: { name: 'f', arguments: null } })],
      [tool(0, 'a')],
    ],
    'is numbered from 0 by us, whatever the upstream counts': [
      [begin(3, 'a', 'f', '{}'), begin(7, 'b', 'f', '[]')],
      [tool(0, 'a'), args('{}'), tool(1, 'b'), args('[]', 1)],
    ],
    'may come in the old form': [
      [
        chunkOf({ function_call: { name: 'f', arguments: '{' } }),
        chunkOf({ function_call: { arguments: '}' } }),
      ],
      [tool(0, 'call_chatcmpl-10'), args('{}')],
    ],
  };
  for (const [name, [chunks, steps]] of Object.entries(cases))
    test(name, () => {
      const { sink } = run(eventsOf(...chunks, chunkOf({}, 'tool_calls'), '[DONE]'));
      assert.deepEqual(sink.steps, steps);
      assert.equal(sink.end, 'tool_calls');
    });

  test('that is never named is refused before anything counts as finished', () => {
    const { sink } = run(eventsOf(more(0, '{}', 'a'), chunkOf({}, 'tool_calls')));
    assert.equal(sink.end, 'MILLRACE_UPSTREAM_MALFORMED');
  });

  test('the arguments of long calls are scanned, not parsed, and stay with their call', () => {
    const chunks = [0, 1].flatMap((index) => [
      begin(index, `id${index}`, 'f'),
      ...Array.from({ length: 100 }, (_, i) => more(index, `${i % 10}`)),
    ]);
    const { sink, parsed } = decode([bytesOf(eventsOf(...chunks, stop))]);
    assert.ok(parsed <= 6, String(parsed));
    const digits = '0123456789'.repeat(10);
    assert.deepEqual(sink.steps, [tool(0, 'id0'), args(digits), tool(1, 'id1'), args(digits, 1)]);
  });

  test('calls beside each other that take turns never mix', () => {
    const chunks = Array.from({ length: 200 }, (_, i) => more(i % 2, i % 2 === 0 ? 'a' : 'b'));
    const { sink } = run(eventsOf(begin(0, 'x', 'f'), begin(1, 'y', 'f'), ...chunks, stop));
    for (const step of sink.steps)
      if ('text' in step) assert.equal(step.text, step.part === 0 ? 'a' : 'b');
  });

  test('two fragments in one chunk, one of them empty, are not taken for one', () => {
    const pair = (text: string) =>
      chunkOf({
        tool_calls: [
          { index: 0, function: { arguments: '' } },
          { index: 1, function: { arguments: text } },
        ],
      });
    const other = chunkOf({
      tool_calls: [
        { index: 0, function: { arguments: 'z' } },
        { index: 1, function: { arguments: '' } },
      ],
    });
    const { sink } = run(
      eventsOf(begin(0, 'x', 'f'), begin(1, 'y', 'f'), pair('1'), pair('2'), other, stop),
    );
    assert.deepEqual(sink.steps.slice(2), [args('12', 1), args('z', 0)]);
  });

  test('there is a limit to their number', () => {
    const body = (count: number) =>
      eventsOf(...Array.from({ length: count }, (_, i) => begin(i, `c${i}`, 'f')), stop);
    assert.equal(decode([bytesOf(body(1024))]).sink.end, 'stop');
    assert.equal(decode([bytesOf(body(1025))]).sink.end, 'MILLRACE_UPSTREAM_MALFORMED');
  });
});
