/** `millrace serve` as an operator runs it: a process of its own, its output collected. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './until.ts';

const CLI = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface GatewayProcess {
  readonly url: string;
  readonly admin: string;
  /** Everything written so far. */
  readonly stdout: string;
  readonly stderr: string;
  signal(name: NodeJS.Signals): void;
  /** Writes another text into its configuration file and sends SIGHUP, as an operator does. */
  reload(text: string): void;
  /** SIGTERM if no signal came before; its exit code. */
  end(): Promise<number | null>;
}

/** Starts it with this configuration (JSON) and waits until it listens. */
export async function startGateway(config: object, flags: string[] = []): Promise<GatewayProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-'));
  const file = join(folder, 'millrace.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [CLI, 'serve', '--config', file, ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const out = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (out.stderr += text));
  const ended = once(child, 'exit').then(([code]) => {
    rmSync(folder, { recursive: true });
    return code as number | null;
  });
  const listening = () => /^\{.*"event":"listening".*\}$/m.exec(out.stdout)?.[0];
  await until(() => listening() ?? child.exitCode !== null, 'the gateway to listen', 20_000);
  const line = listening();
  if (line === undefined) throw new Error(`it ended with ${child.exitCode}: ${out.stderr}`);
  const { url, admin } = JSON.parse(line) as {
    url: string;
    admin?: { host: string; port: number };
  };
  let asked = false;
  return {
    url,
    admin: admin ? `http://${admin.host}:${admin.port}` : '',
    get stdout() {
      return out.stdout;
    },
    get stderr() {
      return out.stderr;
    },
    signal(name) {
      if (name !== 'SIGHUP') asked = true;
      child.kill(name);
    },
    reload(text) {
      writeFileSync(file, text);
      child.kill('SIGHUP');
    },
    end() {
      if (child.exitCode === null && !asked) child.kill('SIGTERM');
      return ended;
    },
  };
}
