/** What a document links to, which anchors it has, and its code, read the way GitHub does. */

export interface Snippet {
  readonly language: string;
  readonly code: string;
  readonly line: number;
}

/** Fenced code with a language. */
export function snippetsIn(text: string): Snippet[] {
  return [...text.matchAll(/^( *)```(\w+)[^\n]*\n([\s\S]*?)^\1```/gm)].map((found) => {
    const [, indent, language, code] = found;
    const line = text.slice(0, found.index).split('\n').length;
    const flush = indent === '' ? code : code.replaceAll(new RegExp(`^${indent}`, 'gm'), '');
    return { language, code: flush, line };
  });
}

const withoutCode = (text: string) =>
  text.replaceAll(/^( *)```[\s\S]*?^\1```/gm, '').replaceAll(/`[^`\n]*`/g, '');

/** Relative targets of links and images. */
export function linksIn(text: string): string[] {
  return [...withoutCode(text).matchAll(/\]\(\s*<?([^)\s>]+)/g)]
    .map(([, target]) => target)
    .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target));
}

/** The anchors of its headings. */
export function slugsIn(text: string): Set<string> {
  const seen = new Map<string, number>();
  const slugs = new Set<string>();
  const headings = text.replaceAll(/^( *)```[\s\S]*?^\1```/gm, '').matchAll(/^#{1,6} +(.+)$/gm);
  for (const [, heading] of headings) {
    const plain = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').trim();
    const slug = plain
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-');
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    slugs.add(before === 0 ? slug : `${slug}-${before}`);
  }
  return slugs;
}
