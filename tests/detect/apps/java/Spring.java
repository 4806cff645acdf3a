public class Spring {
    public static void main(String[] arguments) throws Exception {
        new org.springframework.context.support.GenericApplicationContext().refresh();
        Thread.sleep(Long.MAX_VALUE);
    }
}
