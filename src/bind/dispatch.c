/* dispatch.c -- runs an operator over its batch, forward and backward.
 *
 * Reads the descriptor, allocates results before anything is computed, and
 * turns a status into a Lua error.  No Lua call happens while a kernel runs.
 * Adding an operator never touches this file. */
#include "bind/fit.h"

#include <string.h>

/* Letters of samplers that have names for people. */
static const char *const letters[][2] = { { "m", "rows" }, { "d", "dim" } };

static void begin (fov_Plan *p, const fov_Opbox *box) {
  p->box = box;
  p->op = box->op;
  p->sig = &box->sig;
  p->type = FOV_F32;
  p->nbatch = 0;
  for (int i = 0; i < p->sig->nin; i++) p->in[i].x = NULL;
}

/* Input 'i' from the value at 'slot'; a copy when its core is not contiguous,
 * or when it is a number.  What is made stays on the stack. */
static void input (lua_State *L, fov_Plan *p, int i, int slot) {
  const fov_Arg *a = &p->sig->arg[i];
  const fov_Tensor *t = fov_totensor(L, slot);
  if (!t && lua_isnumber(L, slot) && a->ndim == 0) {
    fov_Tensor *one = fov_newtensor(L, a->typed ? a->type : p->type, 0, NULL);
    fov_setelement(L, one->type, one->x, slot);
    p->in[i] = *one;
    return;
  }
  if (!t) {
    luaL_error(L, "bad argument #%d to '%s' (%s: expected a tensor, got %s)", i + 1,
               p->op->name, a->name, luaL_typename(L, slot));
    return;
  }
  p->in[i] = *t;
  ptrdiff_t step = 1;
  for (int j = t->ndim - 1; j >= 0 && j >= t->ndim - a->ndim; j--) {
    if (t->shape[j] != 1 && t->stride[j] != step) {
      fov_Tensor *c = fov_newtensor(L, t->type, t->ndim, t->shape);
      fov_raise(L, fov_copy(t, c), p->op->name);
      p->in[i] = *c;
      return;
    }
    step *= t->shape[j];
  }
}

/* Core problem 'b' of the whole tensor 't' under 'at'. */
static fov_Tensor core (const fov_Plan *p, const fov_Tensor *t, const fov_Place *at,
                        int lead, ptrdiff_t b) {
  ptrdiff_t o = 0;
  for (int j = p->nbatch - 1; j >= 0; b /= p->batch[j], j--)
    o += b % p->batch[j] / at->share[j] * at->step[j];
  return fov_view((char *)t->x + o * (ptrdiff_t)fov_type_size(t->type), t->type,
                  t->ndim - lead, t->shape + lead);
}

/* Core problem 'b' of a result: batch dimensions first, contiguous. */
static fov_Tensor part (const fov_Plan *p, const fov_Tensor *t, ptrdiff_t b) {
  fov_Tensor v = fov_view(t->x, t->type, t->ndim - p->nbatch, t->shape + p->nbatch);
  v.x = (char *)t->x + b * fov_numel(&v) * (ptrdiff_t)fov_type_size(t->type);
  return v;
}

typedef struct Run {
  const fov_Plan *p;
  fov_Tensor *out[FOV_MAXARG], *dout[FOV_MAXARG], *din[FOV_MAXARG];
  fov_Status (*kernel) (fov_Call *c);
} Run;

static void problem (const Run *r, fov_Call *c, ptrdiff_t b) {
  const fov_Plan *p = r->p;
  const fov_Sig *s = p->sig;
  c->opt = p->opt;
  memcpy(c->dim, p->call.dim, sizeof c->dim);
  c->stream = p->call.stream;
  c->heads = p->nbatch > 0 ? p->batch[p->nbatch - 1] : 1;
  c->head = b % (c->heads > 0 ? c->heads : 1);
  for (int i = 0; i < s->nin; i++) {
    c->in[i].x = c->din[i].x = NULL;
    if (p->in[i].x) c->in[i] = core(p, &p->in[i], &p->place[i], p->lead[i], b);
    if (r->din[i]) c->din[i] = part(p, r->din[i], b);
  }
  for (int i = 0; i < s->nout; i++) {
    c->out[i].x = c->dout[i].x = NULL;
    if (r->out[i]) c->out[i] = part(p, r->out[i], b);
    if (r->dout[i]) c->dout[i] = part(p, r->dout[i], b);
  }
}

static fov_Status one (void *arg, ptrdiff_t b) {
  const Run *r = arg;
  fov_Call c;
  problem(r, &c, b);
  return r->kernel(&c);
}

/* Checks contents, then runs the kernel on every core problem. */
static void run (lua_State *L, Run *r) {
  const fov_Plan *p = r->p;
  fov_Status s = FOV_OK;
  fov_Mark m = fov_mark();
  if (p->op->check)
    for (ptrdiff_t b = 0; b < p->count && s == FOV_OK; b++) {
      fov_Call c;
      problem(r, &c, b);
      s = p->op->check(&c);
    }
  if (s == FOV_OK) s = fov_parallel(p->count, one, r);
  fov_release(m);
  fov_raise(L, s, p->op->name);
}

/* Pushes a result: batch x core dims of 'a'. */
static fov_Tensor *result (lua_State *L, const fov_Plan *p, const fov_Arg *a) {
  ptrdiff_t shape[2 * FOV_MAXDIM];
  memcpy(shape, p->batch, sizeof p->batch);
  for (int i = 0; i < a->ndim; i++) shape[p->nbatch + i] = p->call.dim[a->dim[i] - 'a'];
  if (p->nbatch + a->ndim > FOV_MAXDIM)
    luaL_error(L, "%s: results would have %d dimensions, more than %d", p->op->name,
               p->nbatch + a->ndim, FOV_MAXDIM);
  return fov_newtensor(L, a->typed ? a->type : p->type, p->nbatch + a->ndim, shape);
}

static void sizes (lua_State *L, fov_Plan *p) {
  p->op = fov_op_get(p->box->index, p->type);
  if (p->op->sizes) fov_raise(L, p->op->sizes(&p->call), p->op->name);
}

/* Optional inputs by name from the option table at 'arg'. */
static void named (lua_State *L, fov_Plan *p, int arg) {
  if (!lua_istable(L, arg)) return;
  for (int i = 0; i < p->sig->nin; i++) {
    if (!p->sig->arg[i].optional) continue;
    if (lua_getfield(L, arg, p->sig->arg[i].name) != LUA_TNIL) {
      if (p->in[i].x)
        luaL_error(L, "%s: input '%s' given twice", p->op->name, p->sig->arg[i].name);
      input(L, p, i, lua_gettop(L));
    }
  }
}

static int sampler (lua_State *L, fov_Plan *p) {
  static const char *const also[] = { "rows", "dim", "rng", "dtype", NULL };
  luaL_checktype(L, 2, LUA_TTABLE);
  p->count = 1;
  memset(p->call.dim, -1, sizeof p->call.dim);
  fov_options(L, p, 2, also);
  p->type = fov_optdtype(L, 2, FOV_F32);
  if (!fov_is_real(p->type)) return luaL_error(L, "%s: option 'dtype': f32 or f64", p->op->name);
  for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
    int good;
    lua_getfield(L, 2, letters[i][1]);
    lua_Integer n = lua_tointegerx(L, -1, &good);
    if (!good || n < 1)
      return luaL_error(L, "%s: option '%s': expected a whole number from 1, got %s", p->op->name,
                        letters[i][1], luaL_tolstring(L, -1, NULL));
    p->call.dim[letters[i][0][0] - 'a'] = (ptrdiff_t)n;
  }
  p->call.stream = fov_fork(fov_checkstream(L, 2));
  sizes(L, p);
  Run r = { .p = p, .kernel = p->op->fwd };
  r.out[0] = result(L, p, &p->sig->arg[0]);
  run(L, &r);
  return 1;
}

int fov_op_call (lua_State *L) {
  fov_Plan p;
  FOV_TAPED(L);
  begin(&p, luaL_checkudata(L, 1, FOV_OPERATOR_META));
  if (p.op->kind == FOV_SAMPLER) return sampler(L, &p);
  int top = lua_gettop(L), i = 0;
  luaL_checkstack(L, 4 * FOV_MAXARG, NULL);
  for (; i < p.sig->nin && i + 2 <= top && !lua_istable(L, i + 2); i++) {
    if (lua_isnil(L, i + 2) && p.sig->arg[i].optional) continue;
    input(L, &p, i, i + 2);
    if (i == 0) p.type = p.in[0].type;
  }
  int opt = i + 2;
  if (opt < top)
    return luaL_error(L, "%s: too many arguments: expected %s and options", p.op->name, p.op->sig);
  if (opt <= top) named(L, &p, opt);
  for (i = 0; i < p.sig->nin; i++)
    if (!p.in[i].x && !p.sig->arg[i].optional)
      return luaL_error(L, "bad argument #%d to '%s' (%s: expected a tensor, got no value)", i + 1,
                        p.op->name, p.sig->arg[i].name);
  fov_fit(L, &p);
  if (opt <= top) fov_options(L, &p, opt, NULL);
  else lua_pushnil(L), fov_options(L, &p, lua_gettop(L), NULL);
  sizes(L, &p);
  Run r = { .p = &p, .kernel = p.op->fwd };
  for (i = 0; i < p.sig->nout; i++) r.out[i] = result(L, &p, &p.sig->arg[p.sig->nin + i]);
  run(L, &r);
  return p.sig->nout;
}

/* Adds the gradients of one input's core problems, in order of the batch. */
typedef struct Fold { const fov_Plan *p; const fov_Tensor *all, *sum; int i; } Fold;

enum { FOLD = 4096 };

static fov_Status fold (void *arg, ptrdiff_t task) {
  const Fold *f = arg;
  const fov_Plan *p = f->p;
  int lead = p->lead[f->i];
  fov_Place at = p->place[f->i];
  ptrdiff_t step = 1;     /* the sum is contiguous, whatever the input was */
  for (int j = f->sum->ndim - 1; j >= 0; step *= f->sum->shape[j], j--) {
    int k = p->sig->arg[f->i].leading ? j : j + p->nbatch - lead;
    if (j < lead) at.step[k] = f->sum->shape[j] == 1 ? 0 : step;
  }
  fov_Tensor head = part(p, f->all, 0);
  ptrdiff_t n = fov_numel(&head), from = task * FOLD, to = from + FOLD < n ? from + FOLD : n;
  for (ptrdiff_t b = 0; b < p->count; b++) {
    fov_Tensor src = part(p, f->all, b), dst = core(p, f->sum, &at, lead, b);
    if (p->type == FOV_F32)
      for (ptrdiff_t k = from; k < to; k++) ((float *)dst.x)[k] += ((float *)src.x)[k];
    else
      for (ptrdiff_t k = from; k < to; k++) ((double *)dst.x)[k] += ((double *)src.x)[k];
  }
  return FOV_OK;
}

/* A tensor from entry 'i' of the table at 'arg', contiguous, shaped like 'a'. */
static fov_Tensor *given (lua_State *L, const fov_Plan *p, int arg, int i, const fov_Arg *a) {
  fov_Tensor *want = result(L, p, a);
  lua_geti(L, arg, i + 1);
  fov_Tensor *t = fov_totensor(L, -1);
  if (!t) {
    if (lua_toboolean(L, -1))
      luaL_error(L, "%s: vjp: %s: expected a tensor, got %s", p->op->name, a->name, luaL_typename(L, -1));
    lua_pop(L, 2);
    return NULL;
  }
  if (!fov_same_shape(t, want) || t->type != want->type)
    luaL_error(L, "%s: vjp: %s: expected %s %s, got %s %s", p->op->name, a->name,
               fov_type_name(want->type), fov_pushshape(L, want), fov_type_name(t->type),
               fov_pushshape(L, t));
  if (fov_contiguous(t)) return t;
  fov_raise(L, fov_copy(t, want), p->op->name);
  return want;
}

int fov_op_vjp (lua_State *L) {
  fov_Plan p;
  begin(&p, luaL_checkudata(L, 1, FOV_OPERATOR_META));
  lua_settop(L, 6);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 4, LUA_TTABLE);
  if (!p.op->bwd) return luaL_error(L, "%s: not differentiable", p.op->name);
  luaL_checkstack(L, 8 * FOV_MAXARG, NULL);
  for (int i = 0; i < p.sig->nin; i++) {
    lua_geti(L, 2, i + 1);
    if (!lua_toboolean(L, -1)) continue;
    input(L, &p, i, lua_gettop(L));
    if (i == 0) p.type = p.in[0].type;
  }
  named(L, &p, 5);
  for (int i = 0; i < p.sig->nin; i++)
    if (!p.in[i].x && !p.sig->arg[i].optional)
      return luaL_error(L, "%s: vjp: %s: expected a tensor", p.op->name, p.sig->arg[i].name);
  fov_fit(L, &p);
  fov_options(L, &p, 5, NULL);
  sizes(L, &p);
  Run r = { .p = &p, .kernel = p.op->fwd };
  for (int i = 0; i < p.sig->nout; i++) {
    const fov_Arg *a = &p.sig->arg[p.sig->nin + i];
    r.out[i] = lua_istable(L, 3) ? given(L, &p, 3, i, a) : result(L, &p, a);
    if (!r.out[i]) return luaL_error(L, "%s: vjp: output %s is missing", p.op->name, a->name);
  }
  if (!lua_istable(L, 3)) run(L, &r);
  bool flows = false;     /* kernels see at least one gradient that is not zero */
  for (int i = 0; i < p.sig->nout; i++)
    flows |= (r.dout[i] = given(L, &p, 4, i, &p.sig->arg[p.sig->nin + i])) != NULL;
  lua_newtable(L);
  int results = lua_gettop(L);
  fov_Tensor *sum[FOV_MAXARG] = { NULL };
  for (int i = 0; i < p.sig->nin; i++) {
    bool wanted = p.in[i].x && !p.sig->arg[i].typed;
    if (wanted && lua_istable(L, 6)) {
      lua_geti(L, 6, i + 1);
      wanted = lua_toboolean(L, -1);
      lua_pop(L, 1);
    }
    if (!wanted) {
      lua_pushboolean(L, 0);
      lua_rawseti(L, results, i + 1);
      continue;
    }
    sum[i] = fov_newtensor(L, p.type, p.in[i].ndim, p.in[i].shape);
    lua_rawseti(L, results, i + 1);
    if (p.place[i].shared) {
      ptrdiff_t shape[2 * FOV_MAXDIM];
      int lead = p.lead[i], n = p.in[i].ndim - lead;
      memcpy(shape, p.batch, sizeof p.batch);
      memcpy(shape + p.nbatch, p.in[i].shape + lead, (size_t)n * sizeof *shape);
      if (p.nbatch + n > FOV_MAXDIM) return luaL_error(L, "%s: too many dimensions", p.op->name);
      r.din[i] = fov_newtensor(L, p.type, p.nbatch + n, shape);
    } else r.din[i] = sum[i];
    if (!flows) memset(sum[i]->x, 0, (size_t)fov_numel(sum[i]) * fov_type_size(p.type));
  }
  r.kernel = p.op->bwd;
  if (flows) run(L, &r);
  for (int i = 0; i < p.sig->nin; i++) {
    if (!flows || !sum[i] || sum[i] == r.din[i]) continue;
    Fold f = { &p, r.din[i], sum[i], i };
    fov_Tensor head = part(&p, r.din[i], 0);
    memset(sum[i]->x, 0, (size_t)fov_numel(sum[i]) * fov_type_size(p.type));
    fov_raise(L, fov_parallel((fov_numel(&head) + FOLD - 1) / FOLD, fold, &f), p.op->name);
  }
  lua_settop(L, results);
  return 1;
}

int fov_op_cost (lua_State *L) {
  fov_Plan p;
  begin(&p, luaL_checkudata(L, 1, FOV_OPERATOR_META));
  luaL_checktype(L, 2, LUA_TTABLE);
  if (!p.op->cost) return luaL_error(L, "%s: has no cost function", p.op->name);
  const char *also[28] = { "heads" };
  char names[26][2];
  int n = 0;
  memset(p.call.dim, -1, sizeof p.call.dim);
  for (int i = 0; i < 26; i++) {
    for (int a = 0; a < p.sig->nin + p.sig->nout; a++)
      if (memchr(p.sig->arg[a].dim, 'a' + i, (size_t)p.sig->arg[a].ndim)) {
        names[n][0] = (char)('a' + i);
        names[n][1] = '\0';
        also[n + 1] = names[n];
        lua_getfield(L, 2, names[n]);
        if (!lua_isnil(L, -1)) {
          int whole;
          lua_Integer size = lua_tointegerx(L, -1, &whole);
          if (!whole || size < 0)
            return luaL_error(L, "%s: cost: size '%s': expected a whole number from 0, got %s",
                              p.op->name, names[n], luaL_tolstring(L, -1, NULL));
          p.call.dim[i] = (ptrdiff_t)size;
        }
        lua_pop(L, 1);
        n++;
        break;
      }
  }
  also[n + 1] = NULL;
  fov_options(L, &p, 2, also);
  for (int i = 0; i < p.sig->nin; i++)
    for (int j = 0; j < p.sig->arg[i].ndim && !p.sig->arg[i].optional; j++)
      if (p.call.dim[p.sig->arg[i].dim[j] - 'a'] < 0)
        return luaL_error(L, "%s: cost: size '%c' is missing: %s", p.op->name,
                          p.sig->arg[i].dim[j], p.op->sig);
  p.call.head = 0;
  p.call.heads = 1;
  if (lua_getfield(L, 2, "heads") != LUA_TNIL) {
    int whole;
    p.call.heads = (ptrdiff_t)lua_tointegerx(L, -1, &whole);
    if (!whole || p.call.heads < 1)
      return luaL_error(L, "%s: cost: heads: expected a whole number from 1, got %s", p.op->name,
                        luaL_tolstring(L, -1, NULL));
  }
  for (int i = 0; i < FOV_MAXARG; i++)
    p.call.in[i].x = p.call.out[i].x = p.call.din[i].x = p.call.dout[i].x = NULL;
  sizes(L, &p);
  fov_Cost cost = { 0 };
  p.op->cost(&p.call, &cost);
  lua_createtable(L, 0, 3);
  lua_pushnumber(L, cost.flops);
  lua_setfield(L, -2, "flops");
  lua_pushnumber(L, cost.bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushnumber(L, cost.exps);
  lua_setfield(L, -2, "exps");
  if (cost.form) {
    lua_pushstring(L, cost.form);
    lua_setfield(L, -2, "form");
    lua_pushinteger(L, cost.chunk);
    lua_setfield(L, -2, "chunk");
  }
  return 1;
}
