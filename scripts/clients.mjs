// @ts-check
/** Installs the real clients that only end-to-end tests use, when what they lock is not installed yet. Answers where they are. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const sdks = ['openai-6', 'openai-7'];

/** The OpenAI SDK in its versions: their folders. @returns {string[]} */
export function clients() {
  return sdks.map(installed);
}

/** The Agents SDK's folder. @returns {string} */
export function agents() {
  return installed('agents');
}

/** @param {string} name */
function installed(name) {
  const folder = fileURLToPath(new URL(`../test/clients/${name}`, import.meta.url));
  const lock = digest(`${folder}/package-lock.json`);
  const stamp = `${folder}/node_modules/.millrace-install`;
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return folder;
  process.stderr.write(`installing ${folder} …\n`);
  // openai 7 names a newer Node in its engines and runs on this one all the same.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const done = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 2, 2] });
  if (done.status !== 0) throw new Error(`npm ci failed in ${folder}`);
  writeFileSync(stamp, lock);
  return folder;
}

/**
 * The Python SDK in an environment of its own, where Python can make one; otherwise why not.
 *
 * @returns {{ program: string, script: string } | { missing: string }}
 */
export function python() {
  const folder = fileURLToPath(new URL('../test/clients/python', import.meta.url));
  const venv = fileURLToPath(new URL('../test/clients/python/.venv', import.meta.url));
  const found = { program: `${venv}/bin/python`, script: `${folder}/client.py` };
  const lock = digest(`${folder}/requirements.txt`);
  const stamp = `${venv}/.millrace-install`;
  if (existsSync(stamp)) {
    const said = readFileSync(stamp, 'utf8');
    if (said === lock) return found;
    if (said.startsWith(`${lock} `)) return { missing: said.slice(lock.length + 1) };
  }
  rmSync(venv, { recursive: true, force: true });
  process.stderr.write(`installing ${folder} …\n`);
  const missing = made(venv, folder);
  mkdirSync(venv, { recursive: true });
  writeFileSync(stamp, missing === undefined ? lock : `${lock} ${missing}`);
  return missing === undefined ? found : { missing };
}

/** Undefined: it was made. @param {string} venv @param {string} folder */
function made(venv, folder) {
  const options = { encoding: /** @type {const} */ ('utf8') };
  if (spawnSync('python3', ['-m', 'venv', venv], options).status !== 0)
    return 'needs python3 with venv';
  const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'];
  const from = ['--requirement', `${folder}/requirements.txt`];
  const done = spawnSync(`${venv}/bin/python`, [...args, ...from], options);
  return done.status === 0 ? undefined : 'needs a Python package index that has the SDK';
}

/** @param {string} file */
function digest(file) {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  clients();
  agents();
  python();
}
