--- fv.nn.NAME{...} -> layer: the parts of models; fv.nn.NAME(x, y, {...}) -> loss for losses.
--- A layer is called with tensors, layer(x), and has
---   layer:parameters()     its parameters in a fixed order, { { name =, tensor = }, ... };
---                          names are dotted: "blocks.1.mix.q.weight"
---   layer:train(step)      training mode; step keys the dropout masks and may be left out
---                          where nothing drops or is redrawn; layer:eval() ends it. Layers begin
---                          in eval.
---   layer:count()          the number of trained numbers; print(layer) says where they are
---   layer:state_bytes{n=}  bytes kept to go on with one sequence after n tokens
---   s = layer:stream{batch=1}   the layer fed in pieces: s(x) is its result for the tokens x that
---                          come next, up to rounding what a call on all gives for them. s:bytes()
---                          is what it keeps (keys and values have room for up to twice as many),
---                          s.tokens how many it saw; s:copy() goes on by itself from where s is.
---                          Runs in eval, records no gradient; raises where a layer sees tokens
---                          that come later, and what raises in s(x) leaves s as it was. For
---                          layers whose caps say streaming
---   layer:draws()          which random features are in use: { { path =, seed =, draw = }, ... }
---   layer:save(path) -> path, layer:load(path) -> layer    .safetensors, with draws() as metadata: load
---                          takes them over where the file has them. It raises one error that lists
---                          every missing, extra and misshapen entry, and
---                          reads checkpoints of fv.train too
--- Parameters are tensors that require gradients; gradients land in t.grad by
--- loss:backward(). A parameter's first value is drawn from a stream keyed by the option
--- seed and its full name: adding a layer shifts no other layer's draws.
--- Example: f = fv.nn.linear{inputs=8, outputs=4, seed=1}; y = f(x)
---          s = model:stream(); logits = s(prompt); logits = s(ids)    -- ids (1, 1), the next

local layer = require "fovea.layer"

return require "fovea.registry".new {
  kind = "nn", folder = "fovea.nn", finish = layer.finish, common = layer.options, usage = "fv.nn.%s%s",
  meta = { __tostring = layer.text },
  extra = { apply = "function", sig = "string", call = "options" },
  members = function(entry)
    if entry.apply then return entry.apply end
    return function(given) return require "fovea.nn".make(entry.name, given, 2) end
  end
}
