/* print.c -- how a tensor looks at the prompt. */
#include "bind/bind.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EDGE = 3, MANY = 1000 };   /* shown at each end once there are many */
enum { COLUMNS = 80 };

typedef struct Style {
  const fov_Tensor *t;
  bool cut;          /* leave out the middle of long dimensions */
  char format[16];
  int width;
  ptrdiff_t row;     /* elements in one line */
} Style;

/* NaN without its sign, which is noise. */
static double value (fov_Type type, const void *x) {
  double v;
  switch (type) {
    case FOV_F32: v = (double)*(const float *)x; return isnan(v) ? fabs(v) : v;
    case FOV_F64: v = *(const double *)x; return isnan(v) ? fabs(v) : v;
    case FOV_I64: return (double)*(const int64_t *)x;
    default: return *(const uint8_t *)x;
  }
}

static int format (const Style *s, char *buf, size_t n, const void *x) {
  if (s->t->type == FOV_I64)
    return snprintf(buf, n, "%*lld", s->width, (long long)*(const int64_t *)x);
  if (s->t->type == FOV_U8) return snprintf(buf, n, "%*u", s->width, *(const uint8_t *)x);
  return snprintf(buf, n, s->format, s->width, value(s->t->type, x));
}

typedef void Visit (void *arg, const char *x);

/* Every element that will be shown. */
static void shown (const Style *s, int dim, const char *x, Visit *visit, void *arg) {
  const fov_Tensor *t = s->t;
  if (dim == t->ndim) {
    visit(arg, x);
    return;
  }
  ptrdiff_t n = t->shape[dim], size = (ptrdiff_t)fov_type_size(t->type);
  for (ptrdiff_t i = 0; i < n; i++) {
    if (s->cut && n > 2 * EDGE && i == EDGE) i = n - EDGE;
    shown(s, dim + 1, x + i * t->stride[dim] * size, visit, arg);
  }
}

typedef struct Range { Style *s; double lo, hi; bool whole; } Range;

static void range (void *arg, const char *x) {
  Range *r = arg;
  double v = fabs(value(r->s->t->type, x));
  if (!isfinite(v)) return;
  if (v != floor(v)) r->whole = false;
  if (v > 0 && v < r->lo) r->lo = v;
  if (v > r->hi) r->hi = v;
}

static void widest (void *arg, const char *x) {
  Range *r = arg;
  char buf[64];
  int n = format(r->s, buf, sizeof buf, x);
  if (n > r->s->width) r->s->width = n;
}

/* A new line inside the brackets of dimensions 0 .. dim. */
static void newline (luaL_Buffer *b, int dim) {
  luaL_addchar(b, '\n');
  for (int k = 0; k <= dim; k++) luaL_addchar(b, ' ');
}

static void body (lua_State *L, luaL_Buffer *b, const Style *s, int dim, const char *x) {
  const fov_Tensor *t = s->t;
  char buf[64];
  if (dim == t->ndim) {
    format(s, buf, sizeof buf, x);
    luaL_addstring(b, buf);
    return;
  }
  ptrdiff_t n = t->shape[dim], size = (ptrdiff_t)fov_type_size(t->type);
  bool last = dim == t->ndim - 1;
  luaL_addchar(b, '[');
  for (ptrdiff_t i = 0; i < n; i++) {
    if (i > 0) {
      luaL_addchar(b, ',');
      if (!last || (!s->cut && i % s->row == 0)) newline(b, dim);
      else luaL_addchar(b, ' ');
    }
    if (s->cut && n > 2 * EDGE && i == EDGE) {
      luaL_addstring(b, last ? "..., " : "...,");
      if (!last) newline(b, dim);
      i = n - EDGE;
    }
    body(L, b, s, dim + 1, x + i * t->stride[dim] * size);
  }
  luaL_addchar(b, ']');
}

typedef struct Summary { fov_Type type; double n, sum, sq, lo, hi, bad; } Summary;

static void summarise (void *arg, const char *x) {
  Summary *m = arg;
  double v = value(m->type, x);
  if (!isfinite(v)) {
    m->bad++;
    return;
  }
  double d = v - (m->n > 0 ? m->sum / m->n : 0);
  m->n++;
  m->sum += v;
  m->sq += d * (v - m->sum / m->n);
  if (v < m->lo) m->lo = v;
  if (v > m->hi) m->hi = v;
}

void fov_pushtext (lua_State *L, const fov_Tensor *t) {
  Style s = { .t = t, .cut = fov_numel(t) > MANY };
  Range r = { .s = &s, .lo = INFINITY, .hi = 0, .whole = true };
  luaL_Buffer b;
  char line[160];
  fov_pushshape(L, t);
  int top = lua_gettop(L);
  luaL_buffinit(L, &b);
  snprintf(line, sizeof line, "tensor %s %s", fov_type_name(t->type), lua_tostring(L, top));
  luaL_addstring(&b, line);
  if (fov_numel(t) > 0) {
    shown(&s, 0, t->x, range, &r);
    const char *f = r.whole && r.hi < 1e7 ? "%*.0f"
                  : r.hi >= 1e5 || r.lo < 1e-4 ? "%*.4e" : "%*.4f";
    snprintf(s.format, sizeof s.format, "%s", f);
    shown(&s, 0, t->x, widest, &r);
    s.row = (COLUMNS - 2 * t->ndim) / (s.width + 2);
    if (s.row < 1) s.row = 1;
    luaL_addstring(&b, t->ndim ? "\n" : " ");
    body(L, &b, &s, 0, t->x);
    if (s.cut) {
      Style all = { .t = t };
      Summary m = { .type = t->type, .lo = INFINITY, .hi = -INFINITY };
      shown(&all, 0, t->x, summarise, &m);
      if (m.n > 0) {
        snprintf(line, sizeof line, "\nmean %.4g  std %.4g  min %.4g  max %.4g", m.sum / m.n,
                 m.n > 1 ? sqrt(m.sq / (m.n - 1)) : 0, m.lo, m.hi);
        luaL_addstring(&b, line);
      }
      if (m.bad > 0) {
        snprintf(line, sizeof line, "%snot finite %.0f", m.n > 0 ? "  " : "\n", m.bad);
        luaL_addstring(&b, line);
      }
    }
  }
  luaL_pushresult(&b);
  lua_remove(L, top);
}
