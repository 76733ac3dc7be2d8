std = "lua54"
max_line_length = 120
read_globals = { "fv" }
files["lua/fovea/meta.lua"] = { ignore = { "212", "241", "631" } }   -- generated
