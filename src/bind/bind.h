/* bind.h -- shared by the files that know Lua.
 *
 * Layer 4: the only layer that includes lua.h. */
#ifndef FOV_BIND_H
#define FOV_BIND_H

#include <lauxlib.h>
#include <lua.h>

#include "ops/op.h"

#define FOV_TENSOR "fovea.tensor"

/* What a tensor userdata holds: the header, then (when it owns them) the
 * elements, 64-byte aligned.  User value 1 of a view is the owner; user value
 * 2 is the tape's, nil while nothing tracks the tensor. */
typedef struct fov_Box {
  const void *tag;    /* address only tensors have: a check without a lookup */
  fov_Tensor t;
  struct fov_Box *root;   /* that of the tensor whose memory this is; its own if not a view */
  lua_Integer written;    /* the root's: the tape's clock at the last write, 0 if there was none */
  bool tracked;
} fov_Box;

/* An exported function: 'sig' and 'doc' feed help, completion and the
 * annotations.  sig is written 'x:sum(dim...) -> tensor' for methods and
 * 'fv.zeros(n, ..., {dtype=}) -> tensor' for functions.  doc's first line
 * says what it does; shapes, dtypes, errors, cost and an example follow.
 * grad: how the tape differentiates it: "" through its own rule in the tape,
 * "none" for functions of integer or no tensor result, "view" for views,
 * "place" for what overwrites an argument, which the tape refuses. */
typedef struct fov_Method {
  const char *name;
  lua_CFunction fn;
  const char *sig, *doc, *grad;
} fov_Method;

/* Registers the list (ends at a NULL name) into the table at 'index' and
 * into the documentation under 'group' ("fv", "tensor", "stream" ...). */
void fov_methods (lua_State *L, int index, const char *group, const fov_Method *m);

/* Pushes a new tensor with uninitialised elements.  Raises when its size
 * overflows or memory runs out. */
fov_Tensor *fov_newtensor (lua_State *L, fov_Type type, int ndim, const ptrdiff_t *shape);

/* What LUA_GCSTEP is given after every so many bytes of new tensors: KiB of
 * debt.  A generational collector that is to make a young collection of each
 * step needs more debt than it can have had credit: INT_MAX. */
extern int fov_gc_step;

/* Pushes a view 'v' of the tensor at stack index 'owner'; v's elements must
 * lie inside the owner's. */
fov_Tensor *fov_newview (lua_State *L, int owner, const fov_Tensor *v);

/* The tensor at 'arg', or an error naming the argument. */
fov_Tensor *fov_checktensor (lua_State *L, int arg);
fov_Tensor *fov_totensor (lua_State *L, int arg);  /* NULL: not a tensor */

/* A 1-based dimension at 'arg', negative from the end; returned 0-based. */
int fov_checkdim (lua_State *L, int arg, int ndim);

/* Reads sizes from stack slots from..to, or from one table there. */
int fov_checkshape (lua_State *L, int from, int to, ptrdiff_t *shape);

/* The field 'name' of the option table at 'arg' (nil or none: absent), left
 * on the stack; returns its Lua type. */
int fov_option (lua_State *L, int arg, const char *name);

/* Raises for a field of the table at 'arg' that is not in 'names' (ends at
 * NULL), naming the nearest that is. */
void fov_checkoptions (lua_State *L, int arg, const char *fn, const char *const *names);

/* dtype option of the table at 'arg', or 'def'. */
fov_Type fov_optdtype (lua_State *L, int arg, fov_Type def);

/* The rng option (a stream) of the table at 'arg'; raises when absent. */
fov_Stream *fov_checkstream (lua_State *L, int arg);

/* Pushes e.g. "(3,64)". */
const char *fov_pushshape (lua_State *L, const fov_Tensor *t);

/* The nearest of 'names' to 'word' by edit distance, NULL if none is near. */
const char *fov_nearest (const char *word, const char *const *names);

/* Raises: the table of methods at 'index' of a 'what' has no such name; the
 * nearest is told. */
int fov_nomethod (lua_State *L, const char *what, int index, const char *name);

/* Raises 'fn: message' for a status other than FOV_OK. */
void fov_raise (lua_State *L, fov_Status s, const char *fn);

/* Whether 'text' names a place in Fovea's own Lua files. */
bool fov_ours (const char *text);

/* In a message handler with a message on top: whether it is Fovea's word to its user, and
 * no fault.  A place in Fovea's own files is then taken off it. */
bool fov_told (lua_State *L);

/* That as a handler, for errors that are raised again: what called is forgotten by then. */
int fov_untold (lua_State *L);

/* While the tape is on, guarded functions first ask fov_tape: -1 means no
 * argument is tracked (go on), anything else is the number of results that
 * the tape's rule has left.  fov_methods guards what it registers; functions
 * registered as closures of their own begin with FOV_TAPED(L). */
extern bool fov_tape_on;
int fov_tape (lua_State *L);
#define FOV_TAPED(L) do { \
    int taped = fov_tape_on ? fov_tape(L) : -1; \
    if (taped >= 0) return taped; \
  } while (0)

/* The box around a tensor that fov_checktensor returned. */
static inline fov_Box *fov_box (fov_Tensor *t) {
  return (fov_Box *)((char *)t - offsetof(fov_Box, t));
}

/* The tape's clock ticks once for every node.  What writes into the elements
 * of a tensor that exists notes the time by fov_write, so that a backward
 * pass knows what was overwritten after a node had saved it. */
int fov_tape_with (lua_State *L);    /* raises again what it meets */
extern lua_Integer fov_tape_time, fov_last_write;
static inline void fov_write (fov_Tensor *t) {
  fov_box(t)->root->written = fov_last_write = fov_tape_time;
}

/* Pushes a printed tensor: dtype, shape, elements (the middle of long
 * dimensions left out), and a summary when anything was left out. */
void fov_pushtext (lua_State *L, const fov_Tensor *t);

/* Pushes one element as a Lua number; stores the Lua number at 'arg', or
 * raises; stores it and returns NULL, or pushes and returns what is wrong. */
void fov_pushelement (lua_State *L, fov_Type type, const void *x);
void fov_setelement (lua_State *L, fov_Type type, void *x, int arg);
const char *fov_toelement (lua_State *L, fov_Type type, void *x, int arg);

/* Each adds its part to the module table at the top of the stack. */
void fov_open_tensor (lua_State *L);    /* tensor.c: the userdata, elements */
void fov_open_create (lua_State *L);    /* create.c: zeros, arange, tensor, ... */
void fov_open_view (lua_State *L);      /* view.c: reshape, transpose, slice */
__attribute__((weak)) void fov_open_math (lua_State *L);      /* math.c: elementwise */
void fov_open_reduce (lua_State *L);    /* reduce.c: sums, extremes, softmax; opened by math.c */
__attribute__((weak)) void fov_open_linalg (lua_State *L);    /* linalg.c: matmul, LAPACK, einsum */
__attribute__((weak)) void fov_open_index (lua_State *L);     /* index.c: gather, scatter, where */
void fov_open_join (lua_State *L);      /* join.c: cat, pad, roll, flip, ... */
void fov_open_order (lua_State *L);     /* order.c: sort, topk, searchsorted */
void fov_open_ops (lua_State *L);       /* ops.c: the operator dispatcher */
void fov_open_tape (lua_State *L);      /* tape.c: where calls meet the tape */
__attribute__((weak)) void fov_open_rng (lua_State *L);       /* rng.c: streams */
__attribute__((weak)) void fov_open_io (lua_State *L);        /* io.c: load, save */
__attribute__((weak)) void fov_open_system (lua_State *L);    /* system.c: clock, threads, info */
void fov_open_folder (lua_State *L);    /* folder.c: names in a folder */

#endif
