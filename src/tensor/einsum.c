/* einsum.c -- see einsum.h.
 *
 * A pair X, Y is contracted so: letters that only one has and nobody needs
 * later are summed first; then, with
 *   g in X, Y and needed later    c in X, Y, not needed    f in one, needed
 * it is the batched product (g, fX, c) (g, c, fY) -> (g, fX, fY) of permuted
 * views, each group seen as one dimension.  Without c it is an elementwise
 * product. */
#include "tensor/einsum.h"

#include "tensor/element.h"
#include "tensor/matmul.h"

#include <ctype.h>
#include <string.h>

typedef uint64_t Set;   /* of letters */

static Set bit (int l) { return (Set)1 << l; }
static Set letters (const fov_Term *t) {
  Set s = 0;
  for (int i = 0; i < t->n; i++) s |= bit(t->l[i]);
  return s;
}

/* ---- the specification ---- */

static const char *spell (int l, char s[8]) {
  s[0] = (char)(l < 26 ? 'a' + l : 'A' + l - 26), s[1] = 0;
  return l < 52 ? s : strcpy(s, "...");
}

/* Reads letters up to ',', '-' or the end; '...' stands for 'dots' letters,
 * or, when dots < 0, for as many as make 'ndim'. */
static fov_Status term (const char **p, const char *spec, int ndim, int dots, fov_Term *t,
                        int *ellipsis) {
  int named = 0, seen = 0, at = 0;
  const char *q = *p;
  for (; *q && *q != ',' && *q != '-'; q++) {
    if (*q == '.' && q[1] == '.' && q[2] == '.' && !seen) seen = 1, q += 2;
    else if (isalpha((unsigned char)*q)) named++;
    else if (*q != ' ')
      return fov_fail(FOV_VALUE, "unexpected '%c' in \"%s\"", *q, spec);
  }
  if (dots < 0) dots = seen ? ndim - named : 0;
  if (dots < 0 || (ndim >= 0 && named + dots != ndim))
    return fov_fail(FOV_VALUE, "\"%.*s\" names %d dimensions of a tensor that has %d",
                    (int)(q - *p), *p, named, ndim);
  if (named + (seen ? dots : 0) > FOV_MAXDIM)
    return fov_fail(FOV_VALUE, "\"%.*s\" has more than %d dimensions", (int)(q - *p), *p,
                    FOV_MAXDIM);
  for (const char *c = *p; c < q; c++) {
    if (*c == ' ') continue;
    if (*c == '.') {
      for (int i = dots; i-- > 0;) t->l[at++] = (unsigned char)(52 + i);
      c += 2;
    }
    else t->l[at++] = (unsigned char)(islower((unsigned char)*c) ? *c - 'a' : *c - 'A' + 26);
  }
  t->n = at;
  *ellipsis = seen ? dots : -1;
  *p = q;
  return FOV_OK;
}

/* Enters the sizes of tensor 'i'; owner[l] is the first that has letter l. */
static fov_Status sizes (fov_Einsum *e, int i, const fov_Tensor *t, int owner[FOV_LETTERS]) {
  for (int d = 0; d < t->ndim; d++) {
    int l = e->in[i].l[d];
    bool dots = l >= 52;
    if (owner[l] == 0 || (dots && e->size[l] == 1)) e->size[l] = t->shape[d], owner[l] = i + 1;
    else if (e->size[l] != t->shape[d] && !(dots && t->shape[d] == 1)) {
      char s[8];
      return fov_fail(FOV_VALUE, "'%s' is %td in tensor %d but %td in tensor %d", spell(l, s),
                      e->size[l], owner[l], t->shape[d], i + 1);
    }
  }
  return FOV_OK;
}

/* Without '->': '...' and then the letters that occur once, in order. */
static fov_Status implied (fov_Einsum *e, int dots) {
  int count[FOV_LETTERS] = { 0 };
  static const char order[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  for (int i = 0; i < e->n; i++)
    for (int d = 0; d < e->in[i].n; d++) count[e->in[i].l[d]]++;
  for (int i = dots; i-- > 0;) e->out.l[e->out.n++] = (unsigned char)(52 + i);
  for (const char *c = order; *c; c++) {
    int l = islower((unsigned char)*c) ? *c - 'a' : *c - 'A' + 26;
    if (count[l] != 1) continue;
    if (e->out.n == FOV_MAXDIM)
      return fov_fail(FOV_VALUE, "the result has more than %d dimensions", FOV_MAXDIM);
    e->out.l[e->out.n++] = (unsigned char)l;
  }
  return FOV_OK;
}

fov_Status fov_einsum_plan (const char *spec, int n, const fov_Tensor *const in[],
                            fov_Einsum *e) {
  *e = (fov_Einsum){ .n = n };
  int owner[FOV_LETTERS] = { 0 }, dots = -1, ellipsis;
  const char *p = spec;
  Set have = 0;
  char l[8];
  for (int i = 0; i < n; i++) {
    if (i && *p++ != ',')
      return fov_fail(FOV_VALUE, "\"%s\" names %d tensor%s, got %d", spec, i, i > 1 ? "s" : "",
                      n);
    fov_Status s = term(&p, spec, in[i]->ndim, -1, &e->in[i], &ellipsis);
    if (s == FOV_OK) s = sizes(e, i, in[i], owner);
    if (s) return s;
    have |= letters(&e->in[i]);
    if (ellipsis > dots) dots = ellipsis;
  }
  if (*p == ',') return fov_fail(FOV_VALUE, "\"%s\" names more than %d tensor%s", spec, n,
                                 n > 1 ? "s" : "");
  if (*p) {
    if (p[1] != '>') return fov_fail(FOV_VALUE, "unexpected '-' in \"%s\"", spec);
    p += 2;
    fov_Status s = term(&p, spec, -1, dots > 0 ? dots : 0, &e->out, &ellipsis);
    if (s) return s;
    if (*p) return fov_fail(FOV_VALUE, "unexpected '%c' in \"%s\"", *p, spec);
    if (ellipsis >= 0 && dots < 0)
      return fov_fail(FOV_VALUE, "\"%s\": no tensor has the '...' of the result", spec);
    if (ellipsis < 0 && dots > 0)
      return fov_fail(FOV_VALUE, "\"%s\": '...' stands for %d dimensions, which the result "
                      "leaves out", spec, dots);
  } else {
    fov_Status s = implied(e, dots);
    if (s) return s;
  }
  Set twice = 0;
  for (int i = 0; i < e->out.n; i++) {
    int c = e->out.l[i];
    if (!(have & bit(c)))
      return fov_fail(FOV_VALUE, "'%s' of the result is in no tensor", spell(c, l));
    if (twice & bit(c))
      return fov_fail(FOV_VALUE, "'%s' occurs twice in the result", spell(c, l));
    twice |= bit(c);
    e->shape[e->ndim++] = e->size[c];
  }
  return FOV_OK;
}

/* ---- views with letters ---- */

typedef struct Named {
  fov_Tensor t;
  fov_Term l;
} Named;

static int find (const fov_Term *t, int l) {
  for (int i = 0; i < t->n; i++)
    if (t->l[i] == l) return i;
  return -1;
}

/* Letters that occur twice become the diagonal; what broadcasts is left out. */
static Named prepare (const fov_Einsum *e, int i, const fov_Tensor *t) {
  Named x = { .t = { .x = t->x, .type = t->type } };
  for (int d = 0; d < t->ndim; d++) {
    int l = e->in[i].l[d], at = find(&x.l, l);
    if (t->shape[d] == 1 && e->size[l] != 1) continue;
    if (at >= 0) x.t.stride[at] += t->stride[d];
    else {
      x.t.shape[x.l.n] = t->shape[d], x.t.stride[x.l.n] = t->stride[d];
      x.l.l[x.l.n++] = (unsigned char)l;
      x.t.ndim++;
    }
  }
  return x;
}

/* The view whose dimensions are 'want'; those x lacks repeat. */
static fov_Tensor arrange (const fov_Einsum *e, const Named *x, const fov_Term *want) {
  fov_Tensor v = { .x = x->t.x, .type = x->t.type, .ndim = want->n };
  for (int i = 0; i < want->n; i++) {
    int at = find(&x->l, want->l[i]);
    v.shape[i] = e->size[want->l[i]];
    v.stride[i] = at < 0 ? 0 : x->t.stride[at];
  }
  return v;
}

static fov_Status fresh (const fov_Einsum *e, const fov_Term *l, fov_Type type, Named *x) {
  ptrdiff_t shape[FOV_MAXDIM];
  size_t bytes;
  for (int i = 0; i < l->n; i++) shape[i] = e->size[l->l[i]];
  if (!fov_bytes(type, l->n, shape, &bytes)) return FOV_NOMEM;
  void *p = fov_scratch(bytes ? bytes : 1, 1);
  if (!p) return FOV_NOMEM;
  *x = (Named){ fov_view(p, type, l->n, shape), *l };
  return FOV_OK;
}

/* Appends the letters of 't' that are in 's'; false when there is no room. */
static bool append (fov_Term *to, const fov_Term *t, Set s) {
  for (int i = 0; i < t->n; i++) {
    if (!(s & bit(t->l[i]))) continue;
    if (to->n == FOV_MAXDIM) return false;
    to->l[to->n++] = t->l[i];
  }
  return true;
}

/* Appends dimensions [from, to) of 't' to 'v' as one; false when the strides
 * forbid it. */
static bool group (fov_Tensor *v, const fov_Tensor *t, int from, int to) {
  ptrdiff_t n = 1, stride = 1;
  for (int i = to - 1; i >= from; i--) {
    if (t->shape[i] == 1) continue;
    if (n == 1) stride = t->stride[i];
    else if (t->stride[i] != n * stride) return false;
    n *= t->shape[i];
  }
  v->shape[v->ndim] = n, v->stride[v->ndim++] = stride;
  return true;
}

/* 't' as (batch..., rows, columns), of which 'nb' and 'nr' are its first
 * dimensions; matmul takes four batch dimensions, more become one. */
static bool matrices (fov_Tensor *v, const fov_Tensor *t, int nb, int nr) {
  *v = (fov_Tensor){ .x = t->x, .type = t->type };
  if (nb > FOV_MAXDIM - 2) {
    if (!group(v, t, 0, nb)) return false;
  } else {
    v->ndim = nb;
    memcpy(v->shape, t->shape, (size_t)nb * sizeof *t->shape);
    memcpy(v->stride, t->stride, (size_t)nb * sizeof *t->stride);
  }
  return group(v, t, nb, nb + nr) && group(v, t, nb + nr, t->ndim);
}

/* The same of a view of x, through a contiguous copy if need be. */
static fov_Status gather (const fov_Einsum *e, const Named *x, const fov_Term *want, int nb,
                          int nr, fov_Tensor *v) {
  fov_Tensor a = arrange(e, x, want);
  if (matrices(v, &a, nb, nr)) return FOV_OK;
  Named c;
  fov_Status s = fresh(e, want, a.type, &c);
  if (s == FOV_OK) s = fov_copy(&a, &c.t);
  if (s == FOV_OK) matrices(v, &c.t, nb, nr);
  return s;
}

/* Sums x over its letters that are not in 'keep': a product with ones. */
static fov_Status sum_out (const fov_Einsum *e, Named *x, Set keep) {
  Set gone = letters(&x->l) & ~keep;
  if (!gone) return FOV_OK;
  fov_Term kept = { 0 };
  append(&kept, &x->l, keep);
  fov_Term all = kept;
  append(&all, &x->l, gone);
  fov_Tensor v, ones;
  Named y;
  fov_Status s = gather(e, x, &all, 0, kept.n, &v);
  if (s == FOV_OK) s = fresh(e, &kept, x->t.type, &y);
  if (s) return s;
  union { float f; double d; } one;
  if (v.type == FOV_F32) one.f = 1;
  else one.d = 1;
  ones = (fov_Tensor){ .x = &one, .type = v.type, .ndim = 1, .shape = { v.shape[1] } };
  ptrdiff_t n = fov_numel(&y.t);
  fov_Tensor flat = fov_view(y.t.x, v.type, 1, &n);
  *x = y;
  return fov_matmul(&v, &ones, &flat);
}

/* out = the product of x and y, summed over the letters 'out' lacks. */
static fov_Status pair (const fov_Einsum *e, Named *x, Named *y, const Named *out) {
  Set keep = letters(&out->l), lx, ly;
  fov_Status s = sum_out(e, x, keep | letters(&y->l));
  if (s == FOV_OK) s = sum_out(e, y, keep | letters(&x->l));
  if (s) return s;
  lx = letters(&x->l), ly = letters(&y->l);
  if (!(lx & ly & ~keep)) {
    fov_Tensor a = arrange(e, x, &out->l), b = arrange(e, y, &out->l);
    const fov_Tensor *in[2] = { &a, &b };
    return fov_apply(fov_element_find("mul"), in, &out->t);
  }
  fov_Term A = { 0 }, B, C;
  append(&A, &out->l, lx & ly);
  int nb = A.n;
  B = C = A;
  append(&A, &out->l, lx & ~ly);
  append(&C, &out->l, lx & ~ly);
  int nx = A.n - nb;
  append(&A, &x->l, lx & ly & ~keep);
  append(&B, &x->l, lx & ly & ~keep);
  int nc = B.n - nb;
  append(&B, &out->l, ly & ~lx);
  append(&C, &out->l, ly & ~lx);

  fov_Tensor a, b, c, to = arrange(e, out, &C);
  Named part;
  if ((s = gather(e, x, &A, nb, nx, &a)) || (s = gather(e, y, &B, nb, nc, &b))) return s;
  if (matrices(&c, &to, nb, nx)) return fov_matmul(&a, &b, &c);
  if ((s = fresh(e, &C, to.type, &part))) return s;
  matrices(&c, &part.t, nb, nx);
  s = fov_matmul(&a, &b, &c);
  return s ? s : fov_copy(&part.t, &to);
}

fov_Status fov_einsum (const fov_Einsum *e, const fov_Tensor *const in[],
                       const fov_Tensor *out) {
  Named x = prepare(e, 0, in[0]), result = { *out, e->out };
  fov_Status s = FOV_OK;
  if (e->n == 1) {
    if ((s = sum_out(e, &x, letters(&e->out)))) return s;
    fov_Tensor v = arrange(e, &x, &e->out);
    return fov_copy(&v, out);
  }
  for (int i = 1; i < e->n && s == FOV_OK; i++) {
    Named y = prepare(e, i, in[i]), next = result;
    if (i < e->n - 1) {
      Set keep = letters(&e->out);
      for (int j = i + 1; j < e->n; j++) keep |= letters(&e->in[j]);
      fov_Term l = { 0 };
      if (!append(&l, &x.l, keep) || !append(&l, &y.l, keep & ~letters(&x.l)))
        return fov_fail(FOV_VALUE, "the product of the first %d tensors has more than %d "
                        "dimensions", i + 1, FOV_MAXDIM);
      if ((s = fresh(e, &l, out->type, &next))) return s;
    }
    s = pair(e, &x, &y, &next);
    x = next;
  }
  return s;
}
