// Sorts lists with comparisons that keep no order, and writes which of their items were compared.
let seed = SEED;
function rnd(n) {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return Math.floor(seed / 65536) % n;
}
const comparisons = [
  (a, b) => a - b, (a, b) => b - a, (a, b) => a > b, (a, b) => a < b, () => 0, () => 1, () => -1, () => undefined,
  () => rnd(3) - 1, (a, b) => (String(a) < String(b) ? -1 : 1), (a, b) => (a % 3) - (b % 3), () => NaN, undefined,
];
for (let i = 0; i < COUNT; i++) {
  const list = Array.from({ length: rnd(i % 7 ? 12 : 63) }, () => (rnd(9) ? rnd(50) : undefined));
  const calls = [];
  const compare = comparisons[rnd(comparisons.length)];
  const told = compare && ((a, b) => (calls.push(`${a}:${b}`), compare(a, b)));
  console.log((rnd(2) ? [...list].sort(told) : list.toSorted(told)).join(), calls.join(" ").slice(0, 300));
}
