/** What can be measured of how a page looks, inside the browser: contrast of every text, names of every control, what sticks out. */
import type { Page } from 'playwright-core';

export interface Faint {
  readonly text: string;
  readonly ratio: number;
}

/** Visible texts whose contrast is below WCAG's AA (4.5, or 3 for large ones). Disabled controls are exempt. */
export function faintTexts(page: Page): Promise<Faint[]> {
  return page.evaluate<Faint[]>(FAINT);
}

/** Elements that reach beyond the right edge of the viewport and are not inside something that scrolls by itself. */
export function overflowing(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(OVERFLOWING);
}

/** Scripts as text: they run in the page, whose types the tests do not know. */
const FAINT = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim();
    const element = node.parentElement;
    if (!text || !element.checkVisibility() || element.closest('.unseen, svg, :disabled, script')) continue;
    const style = getComputedStyle(element);
    const color = rgba(style.color);
    if (color[3] === 0) continue;
    const [a, b] = [light(color), light(behind(element))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) faint.push({ text: text.slice(0, 40), ratio: Math.round(ratio * 100) / 100 });
  }
  return faint;
})()`;

const OVERFLOWING = `(() => {
  const scrolls = (element) => {
    for (let at = element.parentElement; at && at !== document.body; at = at.parentElement)
      if (getComputedStyle(at).overflowX !== 'visible') return true;
    return false;
  };
  return [...document.body.querySelectorAll('*')]
    .filter((each) => !each.closest('.unseen, .skip') && !scrolls(each) && each.getBoundingClientRect().right > innerWidth + 0.5)
    .map((each) => each.tagName + '.' + each.getAttribute('class'));
})()`;
