// Numbers and times as people read them.

const many = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const whole = (value) => plain.format(value);

export const count = (value) => (value < 10000 ? plain.format(value) : many.format(value));

export const percent = (share, digits = 1) => (share === null || share === undefined ? "–" : `${(share * 100).toFixed(digits)} %`);

export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  if (value >= 1000) return `${(value / 1000).toFixed(value < 10000 ? 2 : 1)} s`;
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
}

export const signed = (value, digits = 2) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);

export function clock(time, withDay) {
  const at = new Date(time);
  const day = withDay ? { day: "numeric", month: "short" } : {};
  return at.toLocaleString("en-GB", { hour: "2-digit", minute: "2-digit", ...day });
}
