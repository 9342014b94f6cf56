// @ts-check
/**
 * Runs test files side by side, each in a process group of its own that is ended whole when the file is done or its time is up: what a test leaves running, or
 * a test that never ends, costs that file and not the run. A line per file; the whole report of those that fail; at the end the counts and the slowest.
 */
import { spawn } from 'node:child_process';

/**
 * @typedef {{ file: string, seconds: number, report: string, verdict: 'ok' | 'failed' | 'unfinished', left: boolean }} Ran
 * @typedef {{ concurrency?: number, fileSeconds?: number, totalSeconds?: number, node?: string, env?: NodeJS.ProcessEnv, out?: (text: string) => void }} Options
 */

const flags = ['--enable-source-maps', '--test-reporter=tap', '--test-reporter-destination=stdout'];

/** Tests that start processes and wait for them. */
const realClocks = /\/test\/(e2e|conformance|threads|unit\/main\/backend)\//;
/** More failures than these are no chance. */
const FLAKY_MAX = 3;

/** The number behind `# word` in a TAP report. @param {string} report @param {string} word */
function counted(report, word) {
  const found = report.match(new RegExp(`^# ${word} (\\d+)$`, 'm'));
  return found === null ? 0 : Number(found[1]);
}

/** Ends a process group with all that is in it. Answers whether there was something left. @param {number | undefined} group */
function end(group) {
  if (group === undefined) return false;
  try {
    process.kill(-group, 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

/** The innermost names that a report says `not ok` of. @param {string} report */
function failures(report) {
  return [...report.matchAll(/^ *not ok \d+ - (.*)$/gm)].map((found) => (found[1] ?? '').trim());
}

/**
 * What came of all tests together. `failed` is 0 only when every file ran to its end and passed.
 *
 * @param {readonly string[]} files paths of built test files, in the order they start
 * @param {Options} [options]
 * @returns {Promise<{ passed: number, failed: number, skipped: number, names: string[] }>}
 */
export async function runFiles(files, options = {}) {
  const { concurrency = 2, fileSeconds = 300, totalSeconds = 3_000 } = options;
  const out = options.out ?? ((text) => void process.stdout.write(text));
  /** @type {Set<number>} */
  const groups = new Set();
  const stop = () => {
    for (const group of groups) end(group);
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);

  /** @param {string} file @param {number} seconds @returns {Promise<Ran>} */
  const one = (file, seconds) =>
    new Promise((resolve) => {
      const started = performance.now();
      const child = spawn(options.node ?? process.execPath, [...flags, file], {
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: options.env ?? process.env,
      });
      if (child.pid !== undefined) groups.add(child.pid);
      let report = '';
      /** @param {Buffer} bytes */
      const take = (bytes) => void (report += bytes.toString());
      child.stdout.on('data', take);
      child.stderr.on('data', take);
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        end(child.pid);
      }, seconds * 1_000);
      child.once('error', (error) => void (report += `not ok 1 - ${file}: ${error.message}\n`));
      let left = false;
      child.once('exit', () => {
        clearTimeout(timer);
        left = end(child.pid) && !late;
        if (child.pid !== undefined) groups.delete(child.pid);
      });
      child.once('close', (code) => {
        const verdict = late ? 'unfinished' : code === 0 ? 'ok' : 'failed';
        resolve({ file, seconds: (performance.now() - started) / 1_000, report, verdict, left });
      });
    });

  /** Files with real clocks that failed beside another file, once more and alone: a failure that stays is one, the others are named as flaky. */
  const again = async () => {
    const failed = ran.filter(({ verdict, file }) => verdict === 'failed' && realClocks.test(file));
    if (failed.length > FLAKY_MAX) return;
    for (const first of failed) {
      const left = (deadline - performance.now()) / 1_000;
      if (left < 1) return;
      const second = await one(first.file, Math.min(fileSeconds, left));
      if (second.verdict !== 'ok') continue;
      ran[ran.indexOf(first)] = second;
      out(`# flaky: ${first.file} failed beside another file and passed alone\n`);
    }
  };

  /** @type {Ran[]} */
  const ran = [];
  /** @type {string[]} */
  const notRun = [];
  const deadline = performance.now() + totalSeconds * 1_000;
  const queue = [...files];
  const lane = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      const left = (deadline - performance.now()) / 1_000;
      if (left < 1) {
        notRun.push(file);
        continue;
      }
      const result = await one(file, Math.min(fileSeconds, left));
      ran.push(result);
      const skipped = counted(result.report, 'skipped');
      out(
        `${result.verdict === 'ok' ? 'ok' : 'not ok'} - ${file} # ${counted(result.report, 'tests')} tests, ${skipped > 0 ? `${skipped} skipped, ` : ''}${result.seconds.toFixed(1)} s${result.left ? ', ended what it left running' : ''}\n`,
      );
      if (result.verdict !== 'ok') {
        out(result.report);
        if (result.verdict === 'unfinished')
          out(`${file} did not end within ${result.seconds.toFixed(0)} s and was ended\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  await again();
  process.off('SIGINT', stop).off('SIGTERM', stop);
  return summary(ran, notRun, out);
}

/** @param {readonly Ran[]} ran @param {readonly string[]} notRun @param {(text: string) => void} out */
function summary(ran, notRun, out) {
  const slow = ran.toSorted((a, b) => b.seconds - a.seconds).slice(0, 5);
  out(`# slowest: ${slow.map((each) => `${each.file} ${each.seconds.toFixed(1)} s`).join(', ')}\n`);
  /** @param {string} word */
  const sum = (word) => ran.reduce((total, each) => total + counted(each.report, word), 0);
  const bad = ran.filter((each) => each.verdict !== 'ok');
  const names = [
    ...bad.map(({ verdict, file, report }) =>
      [`${verdict}: ${file}`, ...failures(report)].join(' | '),
    ),
    ...notRun.map((file) => `not run, the time was up: ${file}`),
  ];
  const failed = Math.max(sum('fail') + sum('cancelled'), names.length);
  const [passed, skipped] = [sum('pass'), sum('skipped')];
  out(`# tests ${sum('tests')}\n# pass ${passed}\n# fail ${failed}\n# skipped ${skipped}\n`);
  for (const name of names) out(`# ${name}\n`);
  return { passed, failed, skipped, names };
}
