// Writes COUNT random values, made from SEED, in every way that programs write values.
let seed = SEED;
function rnd(n) {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return Math.floor(seed / 65536) % n;
}
const plain = [
  "a", "foo", "it's", 'say "hi"', "back`tick'\"", "new\nline", "tab\t", "", "longer text with spaces", "x".repeat(30),
  "line one is long\nline two is longer\nand three", "\u0001\u001f", "0", "12", "-1", "a-b", "_x1", "$y", "constructor",
  "${x}'\"", "\\", "y".repeat(90),
];
const words = [...plain, "é", "\u007f\u009f", "\ud800", "😀", "z".repeat(10005)];
const numbers = [0, -0, 1, -1, 42, 3.14, 1e21, 1e-7, NaN, Infinity, -Infinity, 123456789, 0.1 + 0.2, 255, 1000];
const word = () => words[rnd(rnd(40) ? words.length - 1 : words.length)];
const number = () => numbers[rnd(numbers.length)];
class Point {
  constructor() {
    this.x = number();
    this.y = word();
  }
}
class Sub extends Point {}
const functions = [function f() {}, () => 1, class A {}, class extends Point {}, class B extends Point {}, Math.max, Point];
functions[0].extra = 1;
const primitives = [
  number, word, () => true, () => false, () => null, () => undefined, () => BigInt(rnd(1000)), () => Symbol(`s${rnd(5)}`),
  number, word,
];
const primitive = () => primitives[rnd(primitives.length)]();
const list = (most, item) => Array.from({ length: rnd(most) }, item);
function record(most, key, item) {
  const made = rnd(8) ? {} : Object.create(null);
  for (let i = rnd(most); i > 0; i--) made[key()] = item();
  return made;
}
function holey(depth) {
  const made = list(9, () => rnd(3));
  if (made.length > 2) delete made[rnd(made.length)];
  if (rnd(2)) made.extra = value(depth - 1);
  return made;
}
function value(depth) {
  if (depth <= 0) return primitive();
  const less = () => value(depth - 1);
  switch (rnd(16)) {
    case 0: return primitive();
    case 1: return list(8, less);
    case 2: return list(130, number);
    case 3: return list(40, () => plain[rnd(plain.length)]);
    case 4: return record(6, word, less);
    case 5: return record(30, () => `k${rnd(100)}`, number);
    case 6: return new Map(list(rnd(20) ? 5 : 120, () => [primitive(), less()]));
    case 7: return new Set(list(rnd(20) ? 8 : 120, () => (rnd(2) ? less() : rnd(1000))));
    case 8: return new Point();
    case 9: return new Sub();
    case 10: return functions[rnd(functions.length)];
    case 11: return [/a+/g, /x\/y/u][rnd(2)];
    case 12: return holey(depth);
    case 13: return { get a() { return 1; }, set a(v) {}, get b() { return 2; }, set c(v) {}, n: less() };
    case 14: return list(30, () => (rnd(2) ? rnd(1000) : -rnd(100000)));
    default: return list(4, () => list(12, () => rnd(10)));
  }
}
for (let i = 0; i < COUNT; i++) {
  console.log(value(4));
  if (i % 3 === 0) console.log(word(), value(2), primitive());
  if (i % 5 === 0) console.log(["%s|%d|%i", "%f %c", "100%", "%%", "%O", "%s", "%x %j"][rnd(7)], word(), number(), primitive());
  if (i % 7 === 0) console.error(`${number()}`, String(word()), number().toFixed(rnd(9)), [word(), word()].join());
}
