/* fit.c -- matches arguments with a signature: sizes, dtypes, batch, options.
 *
 * Every complaint names the argument, what was expected and what came. */
#include "bind/fit.h"

#include <math.h>
#include <string.h>

static int bad (lua_State *L, const fov_Plan *p, int i, const char *text) {
  return luaL_error(L, "bad argument #%d to '%s' (%s: %s)", i + 1, p->op->name,
                    p->sig->arg[i].name, text);
}

/* Raises: input 'i' does not have its core shape. */
static void misfit (lua_State *L, const fov_Plan *p, int i) {
  const fov_Arg *a = &p->sig->arg[i];
  char want[160] = "";
  size_t n = 0;
  for (int j = 0; j < a->ndim && n < sizeof want - 32; j++) {
    ptrdiff_t d = p->call.dim[a->dim[j] - 'a'];
    const char *comma = j ? "," : "";
    n += (size_t)(d < 0 ? snprintf(want + n, sizeof want - n, "%s%c", comma, a->dim[j])
                        : snprintf(want + n, sizeof want - n, "%s%c=%td", comma, a->dim[j], d));
  }
  bad(L, p, i, lua_pushfstring(L, "expected (%s), got %s", want, fov_pushshape(L, &p->in[i])));
}

/* Binds the letters of input 'i'; returns how many leading dimensions it has. */
static int bind (lua_State *L, fov_Plan *p, int i) {
  const fov_Arg *a = &p->sig->arg[i];
  fov_Tensor *t = &p->in[i];
  const fov_Tensor *first = &p->in[0];
  int core = a->ndim;
  if (a->least < a->ndim && i > 0 &&
      t->ndim - a->least <= first->ndim - p->sig->arg[0].ndim)
    core = a->least;
  int lead = t->ndim - core;
  if (lead < 0) misfit(L, p, i);
  for (int pass = 0; pass < 2; pass++)   /* first against letters known before */
    for (int j = 0; j < core; j++) {
      ptrdiff_t *d = &p->call.dim[a->dim[j] - 'a'];
      if (*d >= 0 && *d != t->shape[lead + j]) misfit(L, p, i);
      if (pass) *d = t->shape[lead + j];
    }
  return lead;
}

static void read_type (lua_State *L, fov_Plan *p) {
  const fov_Sig *s = p->sig;
  int first = -1;
  for (int i = 0; i < s->nin; i++) {
    fov_Type type = p->in[i].type;
    if (!p->in[i].x) continue;
    if (s->arg[i].typed) {
      if (type != s->arg[i].type)
        bad(L, p, i, lua_pushfstring(L, "expected %s, got %s", fov_type_name(s->arg[i].type),
                                     fov_type_name(type)));
    } else if (!fov_is_real(type))
      bad(L, p, i, lua_pushfstring(L, "expected f32 or f64, got %s", fov_type_name(type)));
    else if (first < 0) first = i;
    else if (type != p->in[first].type)
      bad(L, p, i, lua_pushfstring(L, "expected %s like %s, got %s; convert with :to",
          fov_type_name(p->in[first].type), s->arg[first].name, fov_type_name(type)));
  }
  if (first >= 0) p->type = p->in[first].type;
}

/* The batch: NumPy's broadcasting of the leading dimensions; in a grouped
 * operator the last one of a later input may divide the first input's. */
static void read_batch (lua_State *L, fov_Plan *p) {
  const fov_Sig *s = p->sig;
  const int *lead = p->lead;
  bool grouped = strstr(p->op->caps ? p->op->caps : "", "grouped") != NULL;
  ptrdiff_t heads = s->nin && lead[0] > 0 ? p->in[0].shape[lead[0] - 1] : 1;
  for (int i = 0; i < s->nin; i++) {
    ptrdiff_t shape[FOV_MAXDIM], both[FOV_MAXDIM];
    int n;
    if (!p->in[i].x || s->arg[i].leading) continue;
    memcpy(shape, p->in[i].shape, sizeof shape);
    if (grouped && i > 0 && lead[i] > 0) {
      ptrdiff_t *h = &shape[lead[i] - 1];
      if (*h > 0 && *h < heads && heads % *h == 0) *h = heads;
    }
    if (!fov_broadcast(p->nbatch, p->batch, lead[i], shape, &n, both)) {
      fov_Tensor have = fov_view(NULL, p->type, p->nbatch, p->batch);
      fov_Tensor mine = fov_view(NULL, p->type, lead[i], p->in[i].shape);
      bad(L, p, i, lua_pushfstring(L, "batch dimensions %s do not fit %s%s",
          fov_pushshape(L, &mine), fov_pushshape(L, &have),
          grouped ? "; fewer heads must divide the first argument's" : ""));
    }
    p->nbatch = n;
    memcpy(p->batch, both, sizeof both);
  }
  p->count = 1;
  for (int j = 0; j < p->nbatch; j++) p->count *= p->batch[j];
  for (int i = 0; i < s->nin; i++) {
    if (!p->in[i].x) continue;
    fov_Place *at = &p->place[i];
    const fov_Tensor *t = &p->in[i];
    int shift = s->arg[i].leading ? 0 : p->nbatch - lead[i];
    for (int j = 0; j < FOV_MAXDIM; j++) at->step[j] = 0, at->share[j] = 1;
    at->shared = lead[i] < p->nbatch && p->count > 1;
    if (s->arg[i].leading && lead[i] > p->nbatch) misfit(L, p, i);
    for (int j = 0; j < lead[i]; j++) {
      ptrdiff_t n = t->shape[j], b = p->batch[j + shift];
      if (n == b) at->step[j + shift] = t->stride[j];
      else if (n == 1) at->shared = true;
      else if (s->arg[i].leading)
        bad(L, p, i, lua_pushfstring(L, "expected %I entries, one for each of the first batch "
            "dimension, got %I", (LUAI_UACINT)b, (LUAI_UACINT)n));
      else {
        at->step[j + shift] = t->stride[j];
        at->share[j + shift] = b / n;
        at->shared = true;
      }
    }
  }
}

void fov_fit (lua_State *L, fov_Plan *p) {
  memset(p->call.dim, -1, sizeof p->call.dim);
  for (int i = 0; i < p->sig->nin; i++) p->lead[i] = p->in[i].x ? bind(L, p, i) : 0;
  read_type(L, p);
  read_batch(L, p);
}

static int find (const fov_Op *op, const char *name) {
  for (int i = 0; i < FOV_MAXOPT && op->opt[i].name; i++)
    if (strcmp(op->opt[i].name, name) == 0) return i;
  return -1;
}

/* The word's place in "a|b|c", or -1. */
static int word (const char *words, const char *w) {
  size_t n = strlen(w);
  for (int i = 0; words; i++) {
    const char *end = strchr(words, '|');
    size_t len = end ? (size_t)(end - words) : strlen(words);
    if (len == n && memcmp(words, w, n) == 0) return i;
    words = end ? end + 1 : NULL;
  }
  return -1;
}

/* Raises: the value on top of the stack is not what option 'o' takes. */
static int unfit (lua_State *L, const char *fn, const fov_Opt *o, const char *what, bool range) {
  char bounds[64] = "";
  if (range) snprintf(bounds, sizeof bounds, " in [%.14g, %.14g]", o->lo, o->hi);
  const char *quote = lua_type(L, -1) == LUA_TSTRING ? "\"" : "";
  const char *got = luaL_tolstring(L, -1, NULL);
  if (o->kind == 'e')
    what = lua_pushfstring(L, "one of \"%s\"", luaL_gsub(L, o->words, "|", "\", \""));
  return luaL_error(L, "%s: option '%s': expected %s%s, got %s%s%s", fn, o->name, what, bounds,
                    quote, got, quote);
}

/* Option 'o' from the value on top of the stack.  NaN is no number here: as a
 * default it means that nothing was given. */
static double option (lua_State *L, const char *fn, const fov_Opt *o) {
  static const struct { char kind; const char *name; } kinds[] = {
    { 'b', "true or false" }, { 'i', "a whole number" }, { 'n', "a number" }, { 'e', "" }
  };
  int good = 0, k = 0;
  double v = 0;
  while (kinds[k].kind != o->kind) k++;
  if (o->kind == 'b') good = lua_isboolean(L, -1), v = lua_toboolean(L, -1);
  else if (o->kind == 'e') {
    v = lua_type(L, -1) == LUA_TSTRING ? word(o->words, lua_tostring(L, -1)) : -1;
    good = v >= 0;
  } else if (lua_type(L, -1) == LUA_TNUMBER) {
    v = lua_tonumber(L, -1);
    good = o->kind == 'n' ? v == v : v == floor(v);
  }
  bool ranged = o->lo < o->hi;
  if (!good || (ranged && !(v >= o->lo && v <= o->hi)))
    unfit(L, fn, o, kinds[k].name, ranged);
  return v;
}

void fov_options (lua_State *L, fov_Plan *p, int arg, const char *const *also) {
  const fov_Op *op = p->op;
  for (int i = 0; i < FOV_MAXOPT && op->opt[i].name; i++) p->opt[i] = op->opt[i].def;
  p->call.opt = p->opt;
  if (lua_isnoneornil(L, arg)) return;
  if (!lua_istable(L, arg))
    luaL_error(L, "%s: expected a table of options after the inputs, got %s", op->name,
               luaL_typename(L, arg));
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int i = find(op, key), j = 0;
    if (i >= 0) {
      p->opt[i] = option(L, op->name, &op->opt[i]);
      continue;
    }
    for (j = 0; j < p->sig->nin; j++)
      if (p->sig->arg[j].optional && strcmp(p->sig->arg[j].name, key) == 0) break;
    if (j < p->sig->nin) continue;    /* an input by name: read before */
    for (j = 0; also && also[j] && strcmp(also[j], key) != 0; j++);
    if (also && also[j]) continue;
    const char *names[FOV_MAXOPT + FOV_MAXARG + 8], *near;
    int n = 0;
    for (i = 0; i < FOV_MAXOPT && op->opt[i].name; i++) names[n++] = op->opt[i].name;
    for (i = 0; i < p->sig->nin; i++)
      if (p->sig->arg[i].optional) names[n++] = p->sig->arg[i].name;
    for (i = 0; also && also[i]; i++) names[n++] = also[i];
    names[n] = NULL;
    lua_pushvalue(L, -2);
    const char *shown = luaL_tolstring(L, -1, NULL);
    if ((near = fov_nearest(key, names)))
      luaL_error(L, "%s: unknown option '%s' (did you mean '%s'?)", op->name, shown, near);
    luaL_error(L, "%s: unknown option '%s'", op->name, shown);
  }
}
