"""Anthropic's messages as ours: the system prompt first, turns of one side joined."""

from __future__ import annotations

from stoker.api.anthropic.blocks import messages_of, text_of
from stoker.api.anthropic.schema import CountTokensRequest, Thinking
from stoker.api.anthropic.tools import our_choice, our_tools
from stoker.api.openai.chat_schema import ChatRequest, Message
from stoker.api.openai.thinking import thinking_variables
from stoker.config.schema import LimitsSection
from stoker.errors import InvalidRequest


def conversation(body: CountTokensRequest, limits: LimitsSection) -> ChatRequest:
    """Raises RequestError naming the place. Where the assistant has the last word, the model is to
    go on with it."""
    if not body.messages:
        raise InvalidRequest("'messages' is empty", param="messages")
    if len(body.messages) > limits.messages:
        raise InvalidRequest(f"more than {limits.messages} messages", param="messages")
    messages = _turns(body, limits)
    choice = body.tool_choice
    return ChatRequest(
        model=body.model,
        messages=messages,
        continue_final_message=_unfinished(messages[-1]) or None,
        reasoning_effort=body.output_config.effort if body.output_config else None,
        chat_template_kwargs=thinking_variables(thinks(body.thinking)),
        tools=our_tools(body.tools),
        tool_choice=our_choice(choice),
        parallel_tool_calls=not choice.disable_parallel_tool_use if choice else None,
    )


def thinks(thinking: Thinking | None) -> bool | None:
    """None: as the model does by itself."""
    if thinking is None or thinking.type == "adaptive":
        return None
    return thinking.type == "enabled"


def _unfinished(last: Message) -> bool:
    if last.tool_calls:
        raise InvalidRequest(
            "'messages' ends with calls that have no results",
            param="messages",
            hint="Send a message of the user with a block of type 'tool_result' for each call.",
        )
    return last.role == "assistant"


def _turns(body: CountTokensRequest, limits: LimitsSection) -> list[Message]:
    said: list[Message] = []
    if body.system:
        said.append(Message(role="system", content=text_of(body.system, "system", limits)))
    for position, message in enumerate(body.messages):
        for one in messages_of(message, f"messages[{position}]", limits):
            if said and said[-1].role == one.role != "tool" and not said[-1].tool_calls:
                one = _joined(said.pop(), one)
            said.append(one)
    return said


def _joined(first: Message, second: Message) -> Message:
    thought = [first.reasoning_content, second.reasoning_content]
    return Message(
        role=first.role,
        content=f"{first.content}\n{second.content}",
        reasoning_content="\n".join(filter(None, thought)) or None,
        tool_calls=second.tool_calls,
    )
