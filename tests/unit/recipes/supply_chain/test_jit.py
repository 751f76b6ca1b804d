from kifabrik.recipes.supply_chain.kernel.jit import kept


def test_where_nothing_can_be_kept_the_kernel_is_compiled_all_the_same():
    space = {}
    exec(compile("def one_more(x):\n    return x + 1\n", "/nowhere/at/all.py", "exec"), space)
    assert kept(space["one_more"])(1) == 2
