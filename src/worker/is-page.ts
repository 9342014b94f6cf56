/** A login page or a proxy's error page, which may well come with status 200. */
export function isPage(contentType: string | undefined): boolean {
  return pages.test(contentType ?? '');
}

const pages = /^\s*(text\/html|text\/xml|application\/xml)/i;
