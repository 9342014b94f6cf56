/** Which peers are proxies of ours: only they may say who their client is. */
import { BlockList, isIP } from 'node:net';

/** `ranges`: addresses and CIDR ranges, checked by the options. */
export function trustedPeers(ranges: readonly string[]): (address: string) => boolean {
  if (ranges.length === 0) return () => false;
  const list = new BlockList();
  for (const range of ranges) {
    const [address, bits] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return (address) => {
    const version = isIP(address);
    return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4');
  };
}

/** A text that is an address and nothing else. */
export function isAddress(text: string): boolean {
  return isIP(text) !== 0;
}
