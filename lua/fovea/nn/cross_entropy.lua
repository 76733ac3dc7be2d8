--- -mean over labels of log softmax(logits)[label]

local fv = require "fovea"
local layer = require "fovea.layer"
local options = require "fovea.options"

local list = options.declare({
  { "ignore", "integer", -100, "labels that count for nothing" },
  { "smoothing", "number", 0, "share of the target that all classes have alike", lo = 0, hi = 1 },
  { "reduce", "string", "mean", "over the labels that count: mean, sum, or one loss a row (0 where ignored)",
    choices = { "mean", "sum", "none" } }
}, "cross_entropy", 1)

local function cross_entropy(logits, labels, given)
  local opt = options.read(list, given, "cross_entropy", 3)
  local l = { name = "cross_entropy", path = "" }
  if options.type(logits) ~= "tensor" or not logits:dtype():find "^f" or logits:ndim() < 1 then
    layer.bad(l, "logits", "f32 or f64 (..., classes)", logits)
  end
  local shape = { logits:shape() }
  local classes = table.remove(shape)
  if options.type(labels) ~= "tensor" or labels:dtype() ~= "i64" or table.concat(shape, ",")
     ~= table.concat({ labels:shape() }, ",") then
    layer.bad(l, "labels", ("i64 (%s) like logits %s"):format(table.concat(shape, ","),
              layer.shape(logits)), labels)
  end
  local flat = labels:reshape(-1)
  local counted = flat:ne(opt.ignore)
  local count = counted:to("i64"):sum():item()
  if count == 0 then
    error(("cross_entropy: labels: expected at least one that counts, got %s, all ignored (%d)"):format(
          layer.shape(labels), opt.ignore), 2)
  end
  layer.check_ids(l, "labels", fv.where(counted, flat, 1), classes)
  local rows = logits:reshape(-1, classes)
  local loss = fv.cross_entropy(rows, flat, { ignore = opt.ignore })
  if opt.smoothing > 0 then
    local even = (rows:logsumexp(-1) - rows:mean(-1)):masked_fill(counted:logical_not(), 0)
    loss = loss * (1 - opt.smoothing) + even * opt.smoothing
  end
  if opt.reduce == "none" then return loss:reshape(shape) end
  return opt.reduce == "sum" and loss:sum() or loss:sum() / count
end

return {
  name = "cross_entropy",
  doc = "fv.nn.cross_entropy(logits (..., classes), labels i64 (...), {ignore=, reduce=, smoothing=}) ->\n"
     .. "loss: -log softmax(logits)[label], in nats; labels are 1 .. classes or 'ignore'. Raises on other\n"
     .. "labels and where none counts. With smoothing s it is (1 - s) of that and s of its mean over all\n"
     .. "classes.",
  ref = "smoothing: Szegedy et al. 2016, arXiv:1512.00567",
  call = list,
  example = "loss = fv.nn.cross_entropy(model(ids), labels, {ignore=-100})",
  apply = cross_entropy,
  build = function() return cross_entropy end
}
