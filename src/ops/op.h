/* op.h -- what an operator is.
 *
 * Layer 3.  One file in src/ops defines one operator, sampler or kernel
 * function: 'const fov_Op FOV_OP(<file name>)'.  Nothing else registers it:
 * binding, help, completion, annotations, gradient and determinism tests and
 * benchmarks read the descriptor.  The file is built once per dtype and
 * instruction set (tensor/build.h); it writes 'real' and 'vec' (simd.h).
 *
 * A signature such as
 *     q(n,d) k(m,d) v(m,e) bias?(n,m) len?:i64() -> o(n,e) | lse(n)
 * gives the *core* shape of each argument; a letter means the same size
 * wherever it appears.  '?' marks an optional input, ':type' a dtype other
 * than the call's; in the dimension list, '[' opens letters that may be left
 * out together (g?(n[d]) is g(n) or g(n,d), told apart by the rank beside the
 * first input's) and '<' says that the batch is matched from the left
 * (key_length?:i64(<) given one number per entry of the first batch dimension).
 * Extra leading dimensions are batch, broadcast as NumPy
 * does.  Outputs after '|' are kept for the backward pass; they follow the
 * others in the results.  Letters that only outputs have are set by 'sizes'.
 *
 * The kernel sees one core problem: every argument contiguous, row-major,
 * checked.  It writes every element of its outputs, which come uninitialised,
 * never reads them first, and never frees.  It may call fov_parallel. */
#ifndef FOV_OP_H
#define FOV_OP_H

#include "base/pool.h"
#include "base/rng.h"
#include "tensor/build.h"

#define FOV_MAXARG 12
#define FOV_MAXOPT 12

typedef struct fov_Call {
  const double *opt;             /* option values, in declaration order */
  ptrdiff_t dim[26];             /* size of each letter, see fov_dim */
  fov_Tensor in[FOV_MAXARG];     /* x == NULL: an optional input not given */
  fov_Tensor out[FOV_MAXARG];    /* fwd writes; bwd reads */
  fov_Tensor dout[FOV_MAXARG];   /* bwd: dL/d(out); x == NULL: it is zero */
  fov_Tensor din[FOV_MAXARG];    /* bwd writes dL/d(in); x == NULL: not wanted */
  ptrdiff_t head, heads;         /* place in the last batch dimension, its size */
  fov_Stream stream;             /* samplers: where randomness comes from */
} fov_Call;

static inline ptrdiff_t fov_dim (const fov_Call *c, char letter) {
  return c->dim[letter - 'a'];
}

/* One typed option.  kind: 'n' number, 'i' integer, 'b' boolean, 'e' one of
 * the words in 'words' ("bottom_right|top_left"; the value is its index).
 * Values outside [lo, hi] are refused; lo == hi means no range.  A default
 * of NAN means the kernel derives it; 'doc' says how. */
typedef struct fov_Opt {
  const char *name;
  char kind;
  double def, lo, hi;
  const char *doc;
  const char *words;
} fov_Opt;

typedef struct fov_Cost {
  double flops, bytes, exps;
  /* How a recurrence would run, NULL for others: "token", in the order of the
   * plain loop; "chunk", by products inside chunks of 'chunk' tokens; "sum",
   * not causal.  chunk: tokens, or their features, that are formed together. */
  const char *form;
  ptrdiff_t chunk;
} fov_Cost;

typedef enum fov_Kind { FOV_OPERATOR, FOV_SAMPLER, FOV_KERNEL } fov_Kind;

typedef struct fov_Op {
  const char *name;              /* the file's name, and the name in Lua */
  fov_Kind kind;
  const char *sig, *doc, *ref;   /* doc: one line first, then whatever helps */
  const char *caps;              /* words of fov_caps, space between them */
  fov_Opt opt[FOV_MAXOPT];       /* ends at the first NULL name */

  /* Sets letters that only outputs have, and checks what sizes and options
   * must satisfy together (fov_fail(FOV_VALUE, ...)).  May be NULL. */
  fov_Status (*sizes) (fov_Call *c);

  /* Checks the content of the arguments of the whole batch, or NULL; sees
   * each core problem, before anything is computed. */
  fov_Status (*check) (const fov_Call *c);

  fov_Status (*fwd) (fov_Call *c);
  fov_Status (*bwd) (fov_Call *c);  /* NULL: not differentiable */

  /* Work of one core problem's forward pass at the sizes in 'c'. */
  void (*cost) (const fov_Call *c, fov_Cost *cost);
} fov_Op;

/* The words 'caps' may use:
 *   causal        has a 'causal' option or is causal by nature, proved by ops.t
 *   streaming     takes and returns its state
 *   grouped       inputs named k, v (and k's companions) may have fewer heads
 *                 (last batch dimension) than q, if they divide them
 *   linear_in_v, order_equivariant, rows_sum_to_one, nonneg, exact, unbiased,
 *   log_features  returns logarithms of features
 *   orthogonal    samplers: rows of a block of d are
 *   biased        samplers: rows are not N(0,I); the doc says in what
 *   surrogate     its gradient is not that of its forward pass, by design */
extern const char *const fov_caps[];

#define FOV_OP(name) FOV_BUILD(fov_op_##name)

/* A parsed signature. */
typedef struct fov_Arg {
  char name[20];
  int ndim, least;               /* dimensions, with and without '[...]' */
  char dim[FOV_MAXDIM];
  bool optional, leading;
  bool typed;                    /* 'type' is fixed; otherwise the call's */
  fov_Type type;
} fov_Arg;
typedef struct fov_Sig {
  int nin, nout, nsaved;         /* nout counts the saved ones too, at its end */
  fov_Arg arg[2 * FOV_MAXARG];
} fov_Sig;

/* Every operator in the build, by number; fov_op_get picks the build for the
 * dtype and the level in use. */
extern const int fov_op_count;
const fov_Op *fov_op_get (int i, fov_Type real);

/* Parses 'sig'; returns NULL, or what is wrong with it. */
const char *fov_parse (const char *sig, fov_Sig *s);

#endif
