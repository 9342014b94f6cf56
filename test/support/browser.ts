/** A real browser for tests: Debian's chromium, driven by playwright-core. Where there is none, `noBrowser` says so and the tests that need it are skipped. */
import { existsSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

const program = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** The reason to skip, or false. */
export const noBrowser = existsSync(program)
  ? false
  : `no browser at ${program} (CHROMIUM names another; .ci/run installs Debian's)`;

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** One process per test file; each page has a profile of its own. */
export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: program, headless: true, args: flags });
}

export interface Visit {
  readonly page: Page;
  /** What the browser complained about: console errors and exceptions. */
  readonly complaints: string[];
}

/** A page at this address, closed with the test. */
export async function visit(
  t: TestContext,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    ...options,
  });
  t.after(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  await page.goto(url);
  return { page, complaints };
}
