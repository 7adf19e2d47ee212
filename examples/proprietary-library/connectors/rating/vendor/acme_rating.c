/* Stands for somebody else's product: its maker has this file, and ships what the compiler makes of it. */
#include <stddef.h>

const char *acme_version(void) { return "ACME Rating 4.2"; }

/* 0 to 1000 for a turnover and a debt in cents; -1 for numbers that make no sense. */
int acme_rate(long long turnover, long long debt) {
  if (turnover <= 0 || debt < 0) return -1;
  long long score = 1000 - debt * 500 / turnover;
  return score < 0 ? 0 : (int)score;
}
