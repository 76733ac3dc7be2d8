/* tap.h -- Test Anything Protocol in C, for what Lua cannot see. */
#include <stdarg.h>
#include <stdio.h>

static int tests, failures;

#define ok(cond, ...) ok_at((cond) != 0, __FILE__, __LINE__, __VA_ARGS__)

__attribute__((format(printf, 4, 5)))
static inline void ok_at (int good, const char *file, int line, const char *fmt, ...) {
  va_list ap;
  printf("%sok %d - ", good ? "" : "not ", ++tests);
  va_start(ap, fmt);
  vprintf(fmt, ap);
  va_end(ap);
  printf("\n");
  if (!good) printf("# %s:%d\n", file, line), failures++;
  fflush(stdout);
}

static inline int done (void) {
  printf("1..%d\n", tests);
  return failures != 0;
}
