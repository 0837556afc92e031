import com.amazonaws.services.lambda.runtime.Context;
import java.util.Map;

/** A function in Java that brings its runtime client, for the conformance sessions. */
public class Hello {
  public Map<String, Object> handle(Map<String, Object> event, Context context) {
    context.getLogger().log("hello from Java\n");
    if (event.containsKey("Fail")) {
      throw new IllegalStateException("no good");
    }
    return Map.of("event", event, "requestId", context.getAwsRequestId());
  }
}
