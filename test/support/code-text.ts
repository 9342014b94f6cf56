/** Source text taken apart without a parser: what is code, what is comment, what is imported. Enough for the rules of tidy. */

export interface CodeText {
  /** The code with comments and the contents of texts blanked; line breaks stay. */
  readonly code: string;
  readonly comments: readonly string[];
  readonly imports: readonly Import[];
}

export interface Import {
  readonly from: string;
  readonly typeOnly: boolean;
}

export function readCode(text: string): CodeText {
  const comments: string[] = [];
  let code = '';
  let bare = '';
  for (const { kind, part } of pieces(text)) {
    const blank = part.replaceAll(/[^\n]/g, ' ');
    if (kind === 'comment') comments.push(part);
    code += kind === 'code' ? part : blank;
    // Imports need their texts.
    bare += kind === 'comment' ? blank : part;
  }
  return { code, comments, imports: importsOf(bare) };
}

const statement = /^(?:import|export)\s+(type\s+)?(?:[\w*\s{},$]*?\s+from\s+)?['"]([^'"]+)['"]/gm;
const dynamic = /\bimport\(\s*['"]([^'"]+)['"]\s*\)(\.)?/g;

function importsOf(code: string): Import[] {
  const found: Import[] = [];
  for (const [whole, type, from] of code.matchAll(statement)) {
    const names = /\{([^}]*)\}/.exec(whole)?.[1].split(',') ?? [];
    const named = names.map((name) => name.trim()).filter((name) => name !== '');
    const onlyTypes = named.length > 0 && named.every((name) => name.startsWith('type '));
    found.push({ from, typeOnly: type !== undefined || onlyTypes });
  }
  // `import('x').Name` is a type; `await import('x')` loads.
  for (const [, from, dot] of code.matchAll(dynamic)) {
    found.push({ from, typeOnly: dot !== undefined });
  }
  return found;
}

interface Piece {
  readonly kind: 'code' | 'comment' | 'text';
  readonly part: string;
}

/** Splits at comments, texts and regular expressions. The expressions in a template count as text. */
function* pieces(text: string): Generator<Piece> {
  let from = 0;
  let at = 0;
  while (at < text.length) {
    const end = endOfPiece(text, at);
    if (end === at) {
      at++;
      continue;
    }
    if (at > from) yield { kind: 'code', part: text.slice(from, at) };
    const comment = text.startsWith('//', at) || text.startsWith('/*', at);
    yield { kind: comment ? 'comment' : 'text', part: text.slice(at, end) };
    from = end;
    at = end;
  }
  if (at > from) yield { kind: 'code', part: text.slice(from, at) };
}

/** Where the comment, text or regular expression that begins here ends; `at` itself when none begins. */
function endOfPiece(text: string, at: number): number {
  const char = text[at];
  if (text.startsWith('//', at)) return indexOrEnd(text, '\n', at);
  if (text.startsWith('/*', at)) return Math.min(text.length, indexOrEnd(text, '*/', at) + 2);
  if (char === "'" || char === '"') return endOfQuoted(text, at, char);
  if (char === '`') return endOfTemplate(text, at);
  if (
    char === '/' &&
    /(?:^|[(,=:[!&|?{};>]|\breturn|\n)\s*$/.test(text.slice(Math.max(0, at - 40), at))
  ) {
    return endOfRegExp(text, at);
  }
  return at;
}

function endOfQuoted(text: string, at: number, quote: string): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === quote || text[i] === '\n') return i + 1;
  }
  return text.length;
}

function endOfTemplate(text: string, at: number): number {
  let depth = 0;
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (depth === 0 && text[i] === '`') return i + 1;
    else if (text.startsWith('${', i)) {
      depth++;
      i++;
    } else if (depth > 0 && text[i] === '{') depth++;
    else if (depth > 0 && text[i] === '}') depth--;
    else if (depth > 0 && text[i] === '`') i = endOfTemplate(text, i) - 1;
    else if (depth > 0 && (text[i] === "'" || text[i] === '"'))
      i = endOfQuoted(text, i, text[i]) - 1;
  }
  return text.length;
}

function endOfRegExp(text: string, at: number): number {
  let inClass = false;
  for (let i = at + 1; i < text.length && text[i] !== '\n'; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === '[') inClass = true;
    else if (text[i] === ']') inClass = false;
    else if (text[i] === '/' && !inClass) return i + 1;
  }
  return at;
}

function indexOrEnd(text: string, what: string, from: number): number {
  const found = text.indexOf(what, from);
  return found < 0 ? text.length : found;
}
