/** Which server backends this machine can run. uWebSockets.js has builds for some Nodes and C libraries only; where one fits, it must load. */
import { implementations } from './serve.ts';

interface Build {
  /** process.versions.modules of its Nodes. */
  readonly abis: readonly string[];
  readonly glibc: number;
}

/** The builds that the tests are installed with, for Linux on x64. */
const builds: readonly Build[] = [
  { abis: ['115', '127', '137', '141'], glibc: 2.38 },
  { abis: ['93', '108', '115'], glibc: 2.27 },
];

function glibc(): number {
  const { header } = process.report.getReport() as {
    header: { glibcVersionRuntime?: string };
  };
  const [major = '0', minor = '0'] = (header.glibcVersionRuntime ?? '').split('.');
  return Number(major) + Number(minor) / 100;
}

/** A build fits this Node and this C library. */
export const uwsFits =
  process.platform === 'linux' &&
  process.arch === 'x64' &&
  builds.some((build) => build.abis.includes(process.versions.modules) && glibc() >= build.glibc);

const loads = implementations.some(({ name, missing }) => name === 'uws' && missing === undefined);

/** Those to run a test over: `ws` always, uWebSockets.js where it loads. */
export const backendsHere: readonly ('uws' | 'ws')[] = loads ? ['uws', 'ws'] : ['ws'];
