// Files in one zip, stored as they are (APPNOTE 6.3: local headers, central directory, names in UTF-8).

const UTF8_NAMES = 0x0800;
const VERSION = 20;
const MIDNIGHT_1980 = 0x0021_0000;

/** [{name, data: Uint8Array}, …] → Uint8Array of the archive; below 4 GB and 65,535 files. */
export function zipFile(files) {
  const parts = [];
  const directory = [];
  let at = 0;
  for (const { name, data } of files) {
    const letters = new TextEncoder().encode(name);
    const common = [[2, VERSION], [2, UTF8_NAMES], [2, 0], [4, MIDNIGHT_1980], [4, crc32(data)]];
    common.push([4, data.length], [4, data.length], [2, letters.length], [2, 0]);
    const local = numbers([4, 0x0403_4b50], ...common);
    directory.push(numbers([4, 0x0201_4b50], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), letters);
    parts.push(local, letters, data);
    at += local.length + letters.length + data.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = numbers([4, 0x0605_4b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, at], [2, 0]);
  return concatenated([...parts, ...directory, end]);
}

/** Little-endian numbers, each given as [bytes, value]. */
function numbers(...fields) {
  const bytes = [];
  for (const [size, value] of fields) {
    for (let n = 0; n < size; n += 1) bytes.push((value >>> (8 * n)) & 0xff);
  }
  return Uint8Array.from(bytes);
}

function concatenated(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  return value;
});

/** CRC-32 as zip uses it. */
export function crc32(data) {
  let sum = 0xffff_ffff;
  for (const byte of data) sum = (sum >>> 8) ^ TABLE[(sum ^ byte) & 0xff];
  return ~sum >>> 0;
}
