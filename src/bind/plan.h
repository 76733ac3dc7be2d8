/* plan.h -- one call of an operator: arguments matched with its signature.
 *
 * Private to dispatch.c (which makes and runs plans) and ops.c (the userdata
 * Lua sees). */
#ifndef FOV_PLAN_H
#define FOV_PLAN_H

#include "bind/bind.h"

/* What an operator userdata holds. */
typedef struct fov_Opbox {
  int index;          /* in the list of operators */
  const fov_Op *op;   /* any build: names, docs and options are the same */
  fov_Sig sig;
} fov_Opbox;

#define FOV_OPERATOR_META "fovea.operator"

/* Where an input lies in the batch: entry (i0, i1, ..) of the batch is at
 * sum over j of (i_j / share_j) * step_j elements. */
typedef struct fov_Place {
  ptrdiff_t step[FOV_MAXDIM], share[FOV_MAXDIM];
  bool shared;        /* several entries of the batch read the same elements */
} fov_Place;

typedef struct fov_Plan {
  const fov_Opbox *box;
  const fov_Op *op;
  const fov_Sig *sig;
  fov_Type type;                 /* of real arguments */
  int nbatch;
  ptrdiff_t batch[FOV_MAXDIM], count;
  double opt[FOV_MAXOPT];
  fov_Call call;                 /* sizes, head count, stream: same for all */
  fov_Tensor in[FOV_MAXARG];     /* whole inputs; x == NULL: absent */
  int lead[FOV_MAXARG];          /* leading (batch) dimensions of each */
  fov_Place place[FOV_MAXARG];
} fov_Plan;

/* f(in..., [options]) -> out...: the arguments are stack slots 2 .. top. */
int fov_op_call (lua_State *L);

/* op:vjp({in...}, {out...} or nil, {dout...}, [options], [wanted]) */
int fov_op_vjp (lua_State *L);

/* op:cost{n=, d=, options} */
int fov_op_cost (lua_State *L);

#endif
