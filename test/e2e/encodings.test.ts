/**
 * Goal: a client gets the encoding it asks for, in both directions, word for word; a refused wish says why; what it sends compressed
 * can hurt nobody. Method: the whole engine over every backend, with a client of its own that follows docs/PROTOCOL.md.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as zlib from 'node:zlib';
import { isServed } from '../../src/codec/choice.ts';
import { dictionaryTable } from '../../src/codec/dictionary-table.ts';
import { encodingNames } from '../../src/codec/negotiate.ts';
import { createEngine, type Engine } from '../../src/engine/engine.ts';
import { backendsHere } from '../support/backend/here.ts';
import { open } from '../support/client.ts';
import { openEncoded } from '../support/codec/encoded-client.ts';
import { answer, ask, textOf } from '../support/responses.ts';

const MESSAGE_BYTES_MAX = 2 ** 20;
const served = encodingNames.filter((name) => isServed(name));
/** Long enough that some frames are worth compressing without a dictionary, some only in the jobs pool. */
const long = (words: number) => Array.from({ length: words }, (_, n) => `wörd ${n}`).join(' ');
const turn = (text: string) => ({ type: 'response.create', model: 'demo', input: text });
const saidIn = (events: readonly Record<string, unknown>[]) =>
  events
    .filter(({ type }) => type === 'response.output_text.delta')
    .map(({ delta }) => delta)
    .join('');

for (const backend of backendsHere) {
  describe(`encodings over ${backend}`, () => {
    let engine: Engine;
    let url: string;
    let admin: string;
    before(async () => {
      engine = createEngine({
        server: { port: 0, backend, messageBytesMax: MESSAGE_BYTES_MAX },
        admin: { port: 0 },
        log: { level: 'silent' },
        demo: { enabled: true, firstTokenMs: 1, tokensPerSecond: 20_000 },
      });
      const address = await engine.listen();
      url = address.url;
      admin = `http://127.0.0.1:${address.admin?.port}`;
    });
    after(() => engine.close());

    for (const name of served) {
      test(`${name}: an answer comes compressed, a question may go so, both word for word`, async (t) => {
        const it = await openEncoded(`${url}/v1/responses?encoding=${name}`);
        t.after(() => it.client.socket.terminate());
        assert.ok(it.told?.startsWith(name), it.told);
        for (const words of [3, 400, 4_000]) {
          const text = long(words);
          it.send(turn(`@echo ${text}`));
          const events = await it.until('response.completed');
          assert.equal(saidIn(events), text);
          assert.deepEqual(
            events.map((event) => event['sequence_number']),
            events.map((_, at) => at),
          );
        }
        const { compressed, plain, wireBytes, textBytes } = it.counts;
        assert.ok(compressed > 0);
        if (name === 'zstd+dict')
          assert.ok(plain === 0 && wireBytes < textBytes / 3, `${wireBytes} of ${textBytes}`);
        else assert.ok(plain > compressed, 'short frames go as they are');
      });
    }

    test('what one lane says stays in order while a large frame is compressed elsewhere', async (t) => {
      const it = await openEncoded(`${url}/v1/responses?encoding=gzip`);
      t.after(() => it.client.socket.terminate());
      const text = long(3_000);
      it.client.send(turn(`@echo ${long(5_000)}`));
      it.client.send({ ...turn(`@echo ${text.slice(0, 5_000)}`), stream_id: 'other' });
      const first = [
        ...(await it.until('response.completed')),
        ...(await it.until('response.completed')),
      ];
      for (const lane of [undefined, 'other']) {
        const numbers = first
          .filter((event) => event['stream_id'] === lane)
          .map((event) => event['sequence_number']);
        assert.deepEqual(
          numbers,
          numbers.map((_, at) => at),
          `${lane}`,
        );
      }
    });

    test('a subprotocol is a wish too, and is answered exactly', async (t) => {
      const wishes = [
        'millrace.encoding.lzma',
        'millrace.encoding.gzip',
        'millrace.encoding.identity',
      ];
      const it = await openEncoded(`${url}/v1/responses`, wishes);
      t.after(() => it.client.socket.terminate());
      assert.equal(it.protocol, 'millrace.encoding.gzip');
      assert.equal(it.told, 'gzip; refused=unknown');
    });

    test('without a wish nothing is said, and a binary message is none', async () => {
      const it = await openEncoded(`${url}/v1/responses`);
      assert.equal(it.told, undefined);
      it.sendRaw(zlib.gzipSync('{}'));
      assert.equal((await it.client.closed).code, 1003);
    });

    test('a wish that is not granted falls back to identity, says why, and is counted', async (t) => {
      const cases = [
        ['/v1/responses?encoding=lzma', 'identity; refused=unknown'],
        ['/v1/responses?encoding=gzip.0123456789abcdef', 'identity; refused=unknown'],
        ['/v1/responses?encoding=zstd%2Bdict.0123456789abcdef', 'identity; refused=dictionary'],
        ['/v1/responses?encoding=identity', 'identity'],
        ['/ws?encoding=gzip', 'identity; refused=dialect'],
      ];
      for (const [path, told] of cases) {
        const it = await openEncoded(`${url}${path}`);
        t.after(() => it.client.socket.terminate());
        assert.equal(it.told, told, path);
      }
      const text = await (await fetch(`${admin}/metrics`)).text();
      assert.match(text, /millrace_encodings_refused_total\{reason="dictionary"\} [1-9]/);
      assert.match(text, /millrace_encoded_bytes_total\{encoding="gzip",direction="out"\} [1-9]/);
      assert.match(text, /millrace_decoded_bytes_total\{encoding="gzip",direction="in"\} [1-9]/);
    });

    test('a dictionary is named by the digits of its hash, listed, and unknown under any other', async (t) => {
      if (!isServed('zstd+dict')) return t.diagnostic('no zstd here');
      const http = url.replace('ws:', 'http:');
      const { data } = (await (await fetch(`${http}/dictionaries`)).json()) as {
        data: { hash: string; dialect: string }[];
      };
      assert.deepEqual(
        data.map(({ hash }) => hash),
        dictionaryTable.map(({ hash }) => hash),
      );
      for (const path of ['/dictionaries/abc', '/dictionaries/', '/dictionaries/..%2f']) {
        assert.equal((await fetch(`${http}${path}`)).status, 404, path);
      }
      const short = data.find(({ dialect }) => dialect === 'responses')?.hash.slice(0, 16);
      const it = await openEncoded(`${url}/v1/responses?encoding=zstd%2Bdict.${short}`);
      t.after(() => it.client.socket.terminate());
      assert.match(it.told ?? '', /^zstd\+dict; dictionary=/);
    });

    test('nonsense, another codec, bombs and text that is none are errors of one message', async (t) => {
      const it = await openEncoded(`${url}/v1/responses?encoding=gzip`);
      t.after(() => it.client.socket.terminate());
      const bomb = zlib.gzipSync(Buffer.alloc(50 * MESSAGE_BYTES_MAX));
      const joined = Buffer.concat(
        Array.from({ length: 40 }, () => zlib.gzipSync(Buffer.alloc(MESSAGE_BYTES_MAX / 8))),
      );
      const bad: [string, Uint8Array, string][] = [
        ['nonsense', Buffer.from('hello'), 'invalid_compressed_data'],
        ['nothing', new Uint8Array(0), 'invalid_compressed_data'],
        ['another codec', zlib.brotliCompressSync('{}'), 'invalid_compressed_data'],
        ['a cut one', zlib.gzipSync('{"a":1}').subarray(0, 20), 'invalid_compressed_data'],
        ['a bomb', bomb, 'payload_too_large'],
        ['joined members', joined, 'payload_too_large'],
        ['no UTF-8', zlib.gzipSync(Buffer.from([0x22, 0xff, 0xfe, 0x22])), 'text_invalid'],
        ['no JSON', zlib.gzipSync('{'), 'invalid_json'],
      ];
      for (const [what, bytes, code] of bad) {
        it.sendRaw(bytes);
        const event = await it.next();
        assert.equal((event['error'] as { code: string }).code, code, what);
      }
      it.send(turn('@echo still here'));
      assert.equal(saidIn(await it.until('response.completed')), 'still here');
    });

    test('those behind a large message that is inflated elsewhere wait, and the order holds', async (t) => {
      const it = await openEncoded(`${url}/v1/responses?encoding=gzip`);
      t.after(() => it.client.socket.terminate());
      it.send(turn(`@echo ${long(12_000)}`));
      it.client.send(turn('@echo second'));
      const events = await it.until('response.completed');
      const ids = events.map(({ response }) => (response as { id: string } | undefined)?.id);
      assert.equal(new Set(ids.filter(Boolean)).size, 1, 'the next answer began too early');
      const first = saidIn(events);
      assert.equal(first, long(12_000));
      assert.equal(saidIn(await it.until('response.completed')), 'second');
    });

    test('those who ask for nothing are not touched', async (t) => {
      const client = await open(`${url}/v1/responses`);
      t.after(() => client.socket.terminate());
      ask(client, '@echo plain');
      assert.equal(textOf(await answer(client)), 'plain');
    });
  });
}

test('where compression is off every wish is refused', async (t) => {
  const engine = createEngine({
    server: { port: 0 },
    admin: { enabled: false },
    log: { level: 'silent' },
    demo: { enabled: true },
    compression: { enabled: false },
  });
  t.after(() => engine.close());
  const { url } = await engine.listen();
  const refused = await openEncoded(`${url}/chat?encoding=gzip,brotli`);
  t.after(() => refused.client.socket.terminate());
  assert.equal(refused.told, 'identity; refused=off');
});

for (const backend of backendsHere) {
  test(`permessage-deflate over ${backend}: a client that offers it reads the same answer, one that does not is not touched`, async (t) => {
    const engine = createEngine({
      server: { port: 0, backend },
      admin: { enabled: false },
      log: { level: 'silent' },
      demo: { enabled: true, firstTokenMs: 1, tokensPerSecond: 20_000 },
      compression: { permessageDeflate: '4KiB' },
    });
    t.after(() => engine.close());
    const { url } = await engine.listen();
    for (const deflate of [true, false]) {
      const client = await open(`${url}/v1/responses`, { deflate });
      t.after(() => client.socket.terminate());
      assert.equal(client.socket.extensions.includes('permessage-deflate'), deflate);
      ask(client, `@echo ${long(300)}`);
      assert.equal(textOf(await answer(client)), long(300));
    }
    // What is compressed already is not compressed again, and both may be asked for.
    const both = await openEncoded(`${url}/v1/responses?encoding=gzip`);
    t.after(() => both.client.socket.terminate());
    both.send(turn(`@echo ${long(300)}`));
    assert.equal(saidIn(await both.until('response.completed')), long(300));
  });
}
