/** An image inside its URL (RFC 2397), as providers that want its bytes need it. */
export interface DataUrl {
  /** `image/png` */
  readonly mediaType: string;
  /** Base64, as it came. */
  readonly data: string;
}

/** Undefined when the URL is no base64 data URL. */
export function dataUrl(url: string): DataUrl | undefined {
  const comma = url.indexOf(',');
  const head = /^data:([a-z]+\/[a-z0-9.+-]+);base64$/i.exec(url.slice(0, Math.max(0, comma)));
  if (head === null) return undefined;
  return { mediaType: head[1].toLowerCase(), data: url.slice(comma + 1) };
}
