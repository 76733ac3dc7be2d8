/* op.c -- the operator list and its signature language; see op.h. */
#include "ops/op.h"

#include <string.h>

/* ops.inc is written by the Makefile: one X(file) per operator in src/ops. */
#define X(name) FOV_BUILDS(fov_Op, fov_op_##name);
#include "ops.inc"
#undef X

static const fov_Op *const table[][2][FOV_NISA] = {
#define X(name) FOV_BUILD_LIST(fov_op_##name),
#include "ops.inc"
#undef X
};

const int fov_op_count = sizeof table / sizeof *table;

const fov_Op *fov_op_get (int i, fov_Type real) {
  return table[i][real][fov_isa()];
}

const char *const fov_caps[] = {
  "causal", "streaming", "grouped", "linear_in_v", "order_equivariant",
  "rows_sum_to_one", "nonneg", "exact", "unbiased", "log_features",
  "surrogate", "orthogonal", "biased", NULL
};

/* One 'name?:type(a,b)'; returns what follows it, or NULL. */
static const char *argument (const char *p, fov_Arg *a) {
  size_t n = strcspn(p, "?:(");
  if (n == 0 || n >= sizeof a->name) return NULL;
  memcpy(a->name, p, n);
  p += n;
  if (*p == '?') a->optional = true, p++;
  if (*p == ':') {
    char type[8] = "";
    n = strcspn(++p, "(");
    if (n >= sizeof type) return NULL;
    memcpy(type, p, n);
    if (!fov_type_find(type, &a->type)) return NULL;
    a->typed = true;
    p += n;
  }
  if (*p++ != '(') return NULL;
  if (*p == '<') a->leading = true, p++;
  a->least = -1;
  while (*p != ')') {
    if (*p == '[') {
      if (a->least >= 0) return NULL;
      a->least = a->ndim;
      p++;
    }
    if (*p < 'a' || *p > 'z' || a->ndim == FOV_MAXDIM) return NULL;
    a->dim[a->ndim++] = *p++;
    if (a->least >= 0 && *p == ']') p++;
    if (*p == ',') p++;
    else if (*p != ')' && *p != '[') return NULL;
  }
  if (a->least < 0) a->least = a->ndim;
  return p + 1 + strspn(p + 1, " ");
}

const char *fov_parse (const char *sig, fov_Sig *s) {
  int n = 0, saved = -1;
  bool arrow = false;
  memset(s, 0, sizeof *s);
  for (const char *p = sig; *p; n++) {
    if (!arrow && strncmp(p, "-> ", 3) == 0) {
      arrow = true;
      s->nin = n;
      p += 3;
    }
    if (arrow && saved < 0 && strncmp(p, "| ", 2) == 0) {
      saved = n;
      p += 2;
    }
    if (n == 2 * FOV_MAXARG) return "too many arguments";
    if (!(p = argument(p, &s->arg[n]))) return "malformed argument";
  }
  s->nout = n - s->nin;
  s->nsaved = saved < 0 ? 0 : n - saved;
  if (!arrow || s->nout - s->nsaved < 1) return "want 'inputs -> outputs'";
  if (s->nin > FOV_MAXARG || s->nout > FOV_MAXARG) return "too many arguments";
  return NULL;
}
