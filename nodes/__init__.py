"""ComfyUI nodes, and the plain objects behind them.

The modules named ``*_node`` and those that they alone use (``comfy_compat``, ``whole_model_patcher``, ``reward_handle``,
``clip_input``, ``node_pictures``) run inside ComfyUI; everything else here works, and is tested, without it.
"""
