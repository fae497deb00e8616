import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  checkUrl,
  INFRASTRUCTURE_PORTS,
  isForbiddenAddress,
  type AddressPolicy,
} from './address-rules.ts';

const strict: AddressPolicy = {
  allow_private: 'none',
  require_tls: false,
  forbidden_ports: INFRASTRUCTURE_PORTS,
};
const refusal = (url: string, policy = strict) => {
  const check = checkUrl(url, policy);
  return check.ok ? undefined : check.reason;
};

// First and last address of every forbidden range, and the neighbours that are public.
const RANGES: readonly [first: string, last: string, outside: readonly string[]][] = [
  ['0.0.0.0', '0.255.255.255', ['1.0.0.0']],
  ['10.0.0.0', '10.255.255.255', ['9.255.255.255', '11.0.0.0']],
  ['100.64.0.0', '100.127.255.255', ['100.63.255.255', '100.128.0.0']],
  ['127.0.0.0', '127.255.255.255', ['126.255.255.255', '128.0.0.0']],
  ['169.254.0.0', '169.254.255.255', ['169.253.255.255', '169.255.0.0']],
  ['172.16.0.0', '172.31.255.255', ['172.15.255.255', '172.32.0.0']],
  ['192.0.0.0', '192.0.0.255', ['191.255.255.255', '192.0.1.0']],
  ['192.0.2.0', '192.0.2.255', ['192.0.1.255', '192.0.3.0']],
  ['192.88.99.0', '192.88.99.255', ['192.88.98.255', '192.88.100.0']],
  ['192.168.0.0', '192.168.255.255', ['192.167.255.255', '192.169.0.0']],
  ['198.18.0.0', '198.19.255.255', ['198.17.255.255', '198.20.0.0']],
  ['198.51.100.0', '198.51.100.255', ['198.51.99.255', '198.51.101.0']],
  ['203.0.113.0', '203.0.113.255', ['203.0.112.255', '203.0.114.0']],
  ['224.0.0.0', '239.255.255.255', ['223.255.255.255']],
  ['240.0.0.0', '255.255.255.255', []],
  ['::', '::1', []],
  ['fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', ['fbff:ffff::1']],
  ['fe80::', 'febf:ffff::1', ['fe7f:ffff::1']],
  ['fec0::', 'feff:ffff::1', []],
  ['ff00::', 'ffff:ffff::1', []],
  ['2001:db8::', '2001:db8:ffff::1', ['2001:db7:ffff::1', '2001:db9::1']],
  ['2001:2::', '2001:2:0:ffff::1', ['2001:2:1::1']],
  ['2001:10::', '2001:1f:ffff::1', ['2001:20::1', '2001:f::1']],
  ['64:ff9b::', '64:ff9b::ffff:ffff', ['64:ff9a::1']],
  ['64:ff9b:1::', '64:ff9b:1:ffff::1', ['64:ff9b:2::808:808']],
  ['2002::', '2002:ffff::1', ['2003::1']],
];

test('both ends of every forbidden range are refused and their neighbours are not', () => {
  for (const [first, last, outside] of RANGES) {
    assert.equal(isForbiddenAddress(first), true, first);
    assert.equal(isForbiddenAddress(last), true, last);
    for (const address of outside) assert.equal(isForbiddenAddress(address), false, address);
  }
});

test('public addresses are allowed', () => {
  for (const address of [
    '1.1.1.1',
    '8.8.8.8',
    '93.184.216.34',
    '2606:4700:4700::1111',
    '2a00:1450::1',
    '::ffff:8.8.8.8',
  ]) {
    assert.equal(isForbiddenAddress(address), false, address);
  }
});

const octet = fc.nat(255);
const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
const hex = (address: string, flip = 0) => {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map((part) => Number(part) ^ flip);
  return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
};

test('an address inside another form is judged like the address itself', () => {
  fc.assert(
    fc.property(ipv4, (address) => {
      const forbidden = isForbiddenAddress(address);
      assert.equal(isForbiddenAddress(`::ffff:${address}`), forbidden, `mapped ${address}`);
      assert.equal(isForbiddenAddress(`::ffff:0:${address}`), forbidden, `translated ${address}`);
      assert.equal(
        isForbiddenAddress(`2606:4700::5efe:${address}`),
        forbidden,
        `isatap ${address}`,
      );
      assert.equal(
        isForbiddenAddress(`2001:0:808:808:0:0:${hex(address, 255)}`),
        forbidden,
        `teredo ${address}`,
      );
      if (forbidden)
        assert.equal(isForbiddenAddress(`::${address}`), true, `compatible ${address}`);
      assert.equal(isForbiddenAddress(`64:ff9b::${address}`), true, 'NAT64');
      assert.equal(isForbiddenAddress(`2002:${hex(address)}::1`), true, '6to4');
    }),
    { numRuns: 2_000 },
  );
});

test('what is not an IP address is forbidden', () => {
  for (const text of [
    '',
    'localhost',
    '0177.0.0.1',
    '0x7f.0.0.1',
    '127.1',
    '2130706433',
    '1.2.3.4.5',
    '[::1]',
    ':::',
  ]) {
    assert.equal(isForbiddenAddress(text), true, text);
    assert.equal(isForbiddenAddress(text, 'all'), true, text);
  }
  assert.equal(isForbiddenAddress('fe80::1%eth0'), true);
});

test('the loopback policy opens loopback and nothing else', () => {
  for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1']) {
    assert.equal(isForbiddenAddress(address, 'loopback'), false, address);
  }
  for (const address of [
    '0.0.0.0',
    '10.0.0.1',
    '169.254.169.254',
    '::',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::1',
    'fe80::1',
    '::ffff:10.0.0.1',
  ]) {
    assert.equal(isForbiddenAddress(address, 'loopback'), true, address);
  }
  assert.equal(isForbiddenAddress('10.0.0.1', 'all'), false);
});

test('ordinary public URLs are accepted', () => {
  for (const url of [
    'https://example.com',
    'http://example.com/path?q=1#f',
    'https://example.com:8443/x',
    'HTTPS://Example.COM/',
    'https://bücher.example/',
    'http://8.8.8.8/',
    'http://[2606:4700:4700::1111]:3000/',
    'https://example.com./x',
    'https://localhost.example.com/',
    'https://internal.example.com/',
    'https://example.com/@user',
    'http://example.com:9000',
  ]) {
    assert.equal(refusal(url), undefined, url);
  }
});

test('hostile URLs are refused', () => {
  for (const url of [
    '',
    'x',
    'example.com',
    '//example.com',
    'ftp://example.com',
    'file:///etc/passwd',
    'gopher://example.com',
    'javascript:alert(1)',
    'data:text/plain,x',
    'http:example.com',
    'http:/example.com',
    'http:///example.com',
    'http://',
    'http://?x',
    'https://:443/',
    'http://user@example.com',
    'http://user:pw@example.com',
    'http://@example.com',
    'http://:@example.com',
    'http://a%40b@example.com',
    'http://example.com\\@127.0.0.1/',
    'http://exa\tmple.com/',
    'http://example.com/\n',
    ' http://example.com',
    'http://example.com/a b',
    'http://ex\u00a0ample.com',
    'http://localhost',
    'http://LOCALHOST/',
    'http://localhost./',
    'http://a.localhost/',
    'http://printer.local/',
    'http://db.internal/',
    'http://metadata.google.internal/computeMetadata/v1/',
    'http://metadata/',
    'http://metadata.goog/',
    'http://instance-data/latest',
    'http://x.localdomain/',
    'http://127.0.0.1/',
    'http://127.0.0.1:8080/',
    'http://127.1/',
    'http://127.0.1/',
    'http://0/',
    'http://0.0.0.0/',
    'http://2130706433/',
    'http://0x7f000001/',
    'http://0x7f.0.0.1/',
    'http://0177.0.0.1/',
    'http://017700000001/',
    'http://0x7F.1/',
    'http://127.0.0.1./',
    'http://１２７.0.0.1/',
    'http://127。0。0。1/',
    'http://%31%32%37.0.0.1/',
    'http://8.8.8/',
    'http://134744072/',
    'http://0x08080808/',
    'http://010.8.8.8/',
    'http://8.8.2056/',
    'http://08.8.8.8/',
    'http://256.1.1.1/',
    'http://10.1.2.3/',
    'http://172.20.0.1/',
    'http://192.168.1.1/',
    'http://169.254.169.254/latest/meta-data/',
    'http://100.100.100.200/',
    'http://255.255.255.255/',
    'http://[::]/',
    'http://[::1]/',
    'http://[0:0:0:0:0:0:0:1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::10.0.0.1]/',
    'http://[2002:7f00:1::]/',
    'http://[fe80::1]/',
    'http://[fd00:ec2::254]/',
    'http://[::1%25lo]/',
    'http://[::ffff:0:10.0.0.1]/',
    'http://example.com:22/',
    'http://example.com:25/',
    'http://example.com:5432/',
    'http://example.com:6379/',
    'http://example.com:0/',
    'http://example.com:65536/',
    `http://example.com/${'x'.repeat(2048)}`,
  ]) {
    assert.notEqual(refusal(url), undefined, url);
  }
});

test('only HTTPS passes where TLS is required', () => {
  const policy = { ...strict, require_tls: true };
  assert.match(String(refusal('http://example.com', policy)), /https/);
  assert.equal(refusal('https://example.com', policy), undefined);
});

test('private hosts pass only as far as the policy says', () => {
  const loopback = { ...strict, allow_private: 'loopback' } as const;
  const all = { ...strict, allow_private: 'all' } as const;
  for (const url of ['http://localhost:3000/', 'http://127.0.0.1:4000/', 'http://[::1]:4000/']) {
    assert.equal(refusal(url, loopback), undefined, url);
    assert.equal(refusal(url, all), undefined, url);
  }
  for (const url of ['http://10.0.0.1/', 'http://db.internal/']) {
    assert.notEqual(refusal(url, loopback), undefined, url);
    assert.equal(refusal(url, all), undefined, url);
  }
  // What no policy opens: infrastructure ports, odd spellings, the cloud's metadata names.
  for (const url of [
    'http://127.0.0.1:5432/',
    'http://0x7f.1/',
    'http://metadata.google.internal/',
  ]) {
    assert.notEqual(refusal(url, all), undefined, url);
  }
});

test('no URL that passes leads to a forbidden literal address', () => {
  const host = fc.oneof(
    ipv4,
    fc.nat(0xffffffff).map(String),
    fc.nat(0xffffffff).map((n) => `0x${n.toString(16)}`),
    ipv4.map((address) => `[::ffff:${address}]`),
    fc.tuple(octet, octet).map(([a, b]) => `${a}.${b}`),
  );
  fc.assert(
    fc.property(host, (name) => {
      const check = checkUrl(`http://${name}/`, strict);
      return !check.ok || !isForbiddenAddress(check.url.hostname.replace(/^\[|\]$/g, ''));
    }),
    { numRuns: 2_000 },
  );
});
