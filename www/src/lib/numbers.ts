/** Largest value that the chart library labels. */
const LARGEST = 1e15;

/** The power of ten that brings a value near to one if it is too large for the chart library, else 1. */
export const isMuchLarger = (value: number) => value > LARGEST ? 10 ** Math.floor(Math.log10(value)) : 1;
