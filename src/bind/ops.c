/* ops.c -- operators, samplers and kernel functions as Lua userdata.
 *
 * Reads descriptors only; adding an operator never touches this file. */
#include "bind/plan.h"

#include <math.h>
#include <string.h>

static const char *const kinds[] = { "operator", "sampler", "kernel" };

static const fov_Opbox *checkop (lua_State *L) {
  return luaL_checkudata(L, 1, FOV_OPERATOR_META);
}

/* One argument as { name, dims, least, optional, leading, dtype }. */
static void pusharg (lua_State *L, const fov_Arg *a, bool saved) {
  lua_createtable(L, 0, 6);
  lua_pushstring(L, a->name);
  lua_setfield(L, -2, "name");
  lua_pushlstring(L, a->dim, (size_t)a->ndim);
  lua_setfield(L, -2, "dims");
  lua_pushinteger(L, a->least);
  lua_setfield(L, -2, "least");
  lua_pushboolean(L, a->optional);
  lua_setfield(L, -2, "optional");
  lua_pushboolean(L, a->leading);
  lua_setfield(L, -2, "leading");
  lua_pushboolean(L, saved);
  lua_setfield(L, -2, "saved");
  if (a->typed) {
    lua_pushstring(L, fov_type_name(a->type));
    lua_setfield(L, -2, "dtype");
  }
}

static void pushargs (lua_State *L, const fov_Sig *s, int from, int n, int saved) {
  lua_createtable(L, n, 0);
  for (int i = 0; i < n; i++) {
    pusharg(L, &s->arg[from + i], i >= n - saved);
    lua_rawseti(L, -2, i + 1);
  }
}

static void pushdefault (lua_State *L, const fov_Opt *o) {
  if (isnan(o->def)) lua_pushnil(L);
  else if (o->kind == 'b') lua_pushboolean(L, o->def != 0);
  else if (o->kind == 'i') lua_pushinteger(L, (lua_Integer)o->def);
  else if (o->kind == 'n') lua_pushnumber(L, o->def);
  else {
    const char *w = o->words;
    for (int i = (int)o->def; i > 0; i--) w = strchr(w, '|') + 1;
    lua_pushlstring(L, w, strcspn(w, "|"));
  }
}

static void pushoptions (lua_State *L, const fov_Op *op) {
  static const struct { char kind; const char *name; } types[] = {
    { 'n', "number" }, { 'i', "integer" }, { 'b', "boolean" }, { 'e', "string" }
  };
  lua_newtable(L);
  for (int i = 0; i < FOV_MAXOPT && op->opt[i].name; i++) {
    const fov_Opt *o = &op->opt[i];
    int k = 0;
    while (types[k].kind != o->kind) k++;
    lua_createtable(L, 0, 6);
    lua_pushstring(L, o->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, types[k].name);
    lua_setfield(L, -2, "type");
    lua_pushstring(L, o->doc);
    lua_setfield(L, -2, "doc");
    pushdefault(L, o);
    lua_setfield(L, -2, "default");
    if (o->words) {
      lua_pushstring(L, o->words);
      lua_setfield(L, -2, "choices");
    }
    if (o->lo < o->hi) {
      lua_pushnumber(L, o->lo);
      lua_setfield(L, -2, "lo");
      lua_pushnumber(L, o->hi);
      lua_setfield(L, -2, "hi");
    }
    lua_rawseti(L, -2, i + 1);
  }
}

static void pushcaps (lua_State *L, const char *caps) {
  lua_newtable(L);
  for (const char *p = caps ? caps : ""; *p; p += strspn(p, " ")) {
    size_t n = strcspn(p, " ");
    lua_pushlstring(L, p, n);
    lua_pushboolean(L, 1);
    lua_rawset(L, -3);
    p += n;
  }
}

static int index_ (lua_State *L) {
  const fov_Opbox *b = checkop(L);
  const char *key = luaL_checkstring(L, 2);
  const fov_Op *op = b->op;
  const char *text[][2] = { { "name", op->name }, { "sig", op->sig }, { "doc", op->doc },
                            { "ref", op->ref }, { "kind", kinds[op->kind] } };
  for (size_t i = 0; i < sizeof text / sizeof *text; i++)
    if (strcmp(key, text[i][0]) == 0) {
      lua_pushstring(L, text[i][1]);
      return 1;
    }
  if (strcmp(key, "options") == 0) pushoptions(L, op);
  else if (strcmp(key, "caps") == 0) pushcaps(L, op->caps);
  else if (strcmp(key, "inputs") == 0) pushargs(L, &b->sig, 0, b->sig.nin, 0);
  else if (strcmp(key, "outputs") == 0)
    pushargs(L, &b->sig, b->sig.nin, b->sig.nout, b->sig.nsaved);
  else if (strcmp(key, "differentiable") == 0) lua_pushboolean(L, op->bwd != NULL);
  else if (strcmp(key, "vjp") == 0) lua_pushcfunction(L, fov_op_vjp);
  else if (strcmp(key, "cost") == 0) lua_pushcfunction(L, fov_op_cost);
  else return luaL_error(L, "%s '%s' has no field '%s': name, kind, sig, doc, ref, caps, options, "
                         "inputs, outputs, differentiable, :vjp, :cost", kinds[op->kind], op->name, key);
  return 1;
}

static int tostring (lua_State *L) {
  const fov_Op *op = checkop(L)->op;
  lua_pushfstring(L, "%s  %s\n", op->name, op->sig);
  lua_pushlstring(L, op->doc, strcspn(op->doc, "\n"));
  lua_concat(L, 2);
  return 1;
}

static const luaL_Reg metamethods[] = {
  { "__index", index_ }, { "__tostring", tostring }, { "__call", fov_op_call }, { NULL, NULL }
};

/* Adds core.ops[name]; operators also under their own name. */
void fov_open_ops (lua_State *L) {
  luaL_newmetatable(L, FOV_OPERATOR_META);
  luaL_setfuncs(L, metamethods, 0);
  lua_pop(L, 1);
  lua_newtable(L);
  for (int i = 0; i < fov_op_count; i++) {
    fov_Opbox *b = lua_newuserdatauv(L, sizeof *b, 0);
    b->index = i;
    b->op = fov_op_get(i, FOV_F32);
    const char *wrong = fov_parse(b->op->sig, &b->sig);
    if (wrong) luaL_error(L, "operator '%s': %s: '%s'", b->op->name, wrong, b->op->sig);
    luaL_setmetatable(L, FOV_OPERATOR_META);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, b->op->name);
    if (b->op->kind == FOV_OPERATOR) lua_setfield(L, -3, b->op->name);
    else lua_pop(L, 1);
  }
  lua_setfield(L, -2, "ops");
}
